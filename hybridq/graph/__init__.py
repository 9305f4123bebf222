"""A network as a list of operators, read from an object or a file."""
