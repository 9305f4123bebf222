"""Runs beside each other and beside published figures: tables, pictures, pages.

compare.py       runs side by side; comparison.py: what that holds, and its forms; columns.py: its rows
query.py         what runs may be filtered and sorted by
diff.py          what differs between two runs
pareto.py        which networks no other beats
sweep_report.py  the report of a sweep, one page; members.py: the runs on it; page.py: its parts
pictures.py      curves, confusion matrices, grids; scatter.py: networks as points; drawing.py: what pictures share
"""
