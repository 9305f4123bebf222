"""The search for a network: which layers may be narrower, and which sizes and training values are best.

request.py             what every search is asked: a recipe, limits, a file to write
trial_runs.py          the trials as runs, measured on the validation clips alone
studies.py             where Optuna keeps its studies
write_recipe.py        the best network, as a recipe

plan_search.py         which layers may be narrower: table, choice, training, the best
  plan_space.py        the precision plans that there are to choose from
  sensitivity.py       what each layer costs at each precision, measured one by one
  plans.py             the plans worth training, by the table and the memory report
  knapsack.py          the cheapest choice within a limit, exactly

trials.py              sizes and training values, tried with Optuna
  axes.py              the `search` section of a recipe: which values of which keys to try

successive_halving.py  a network of a space, by successive halving with Optuna
  networks.py          the networks of Hello Edge as data; some of them, within the limits of a class or a board
  halving_result.py    what became of them, as tables and a picture
"""
