"""One recipe from data to a tracked run; the network that it leaves, found again by name and measured.

experiment.py    what a recipe stands for: network, operators
sources.py       its data set, a row for each kind of data; clips.py: the kind that is sound
own_network.py   a network of the user's own, opened or built, and whether it fits
run_recipe.py    one recipe becomes one run; log.py: what it logs
model_folder.py  a trained network with all that it takes to use it, as a folder
load_network.py  a trained network by its name, with its integers
measurement.py   what a trained network scores; measure_samples.py: on the samples of a file
quantize_model.py `hybridq quantize`
export.py        `hybridq export`
verify.py        `hybridq verify`; verification.py: what it says; record_image.py: what it logs
reproduce.py     a logged run, trained again and compared
"""
