"""What every section of a recipe is made of, and YAML whose values know their file and line."""
