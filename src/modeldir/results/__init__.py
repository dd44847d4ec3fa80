"""A tree of experiment folders as a table, a report, plots and confirmed results."""
