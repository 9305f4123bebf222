"""What every section of a recipe is made of, and YAML whose values know their file and line.

section.py          the base of sections
yamlfile.py         reading and writing YAML; tree.py: what is read, each value with its place
validation.py       from a tree to a section; a fault names file, line, key and the nearest valid one
python_function.py  a function of a file of the user's, called
units.py            bytes and large counts as people write them
"""
