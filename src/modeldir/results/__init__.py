"""A tree of experiment folders as a table, a report, plots and confirmed results.

Start at `experiment_tree.read_tree`, which all of them call. The rule: reading a tree never changes
an experiment.
"""
