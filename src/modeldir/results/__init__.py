"""A tree of experiment folders as a table, a report, plots and confirmed results.

`synthesize` makes the table, `plots` and `report` draw it, and `finalists` with `confirmation` run
the best configurations again. Start reading at `experiment_tree.read_tree`, which all of them call.
"""
