"""One experiment as data: what may stand in a recipe, and how its file is read.

schema.py    the recipe; sections.py: its sections that belong to no other room
file.py      reading one: what it extends, starts from, is taught by
tree.py      a file laid upon the file that it extends, and settings of the command line upon both
text.py      a recipe as text for tables of parameters
plan_text.py a precision plan as a command is given it
variants.py  the runs that the `sweep` section asks for
"""
