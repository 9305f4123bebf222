"""One experiment as data: what may stand in a recipe, and how its file is read."""
