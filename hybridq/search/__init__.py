"""The search for a network: which layers may be narrower, and which sizes and training values are best.

request.py       what is asked: a recipe, limits, a file to write
space.py         the precision plans that there are to choose from
sensitivity.py   what each layer costs at each precision, measured one by one
knapsack.py      the cheapest choice within a limit, exactly
plans.py         the plans worth training, by the table and the memory report
precision.py     the whole: table, choice, training, the best
axes.py          the `search` section of a recipe: which values of which keys to try
trials.py        trying them, with Optuna
networks.py      the networks of Hello Edge as data; some of them, within the limits of a class or a board
halving.py       training these by successive halving, with Optuna
halved.py        what came of that, as tables and a picture
studies.py       where Optuna keeps its studies
runs.py          the trials as runs, measured on the validation clips alone
found.py         what was found, as a recipe
"""
