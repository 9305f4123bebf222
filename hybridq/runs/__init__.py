"""One recipe from data to a tracked run; the network that it leaves, found again by name and measured."""
