"""A tree of experiment folders as a table, a report, plots and confirmed results.

Commands and notebooks call it: `synthesize` makes the table, `plots` and `report` draw it, and
`finalists` with `confirmation` run the best configurations again. Start reading at
`experiment_tree.read_tree`, which all of them call. Rule that must not break: reading a tree never
changes an experiment. One experiment by itself: `modeldir.experiment`.
"""
