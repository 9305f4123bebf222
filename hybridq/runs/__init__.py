"""One recipe from data to a tracked run; the network that it leaves, found again by name and measured.

experiment.py    what a recipe stands for: data set, network, operators
run_recipe.py    one recipe becomes one run; log.py: what it logs
model_folder.py  a trained network with its labels, front end and normalisation, as a folder
load_network.py  a trained network by its name, with its integers
measurement.py   what a trained network scores on labelled clips
export.py        `hybridq export`
verify.py        `hybridq verify`; verification.py: what it says; record_image.py: what it logs
reproduce.py     a logged run, trained again and compared
"""
