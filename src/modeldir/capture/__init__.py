"""Ways to hear what a process prints, for its log.

One a file: `descriptors` (with `keeper`, a process of its own, its `mirror` and the training's
`departure`), `streams` for where Python's objects are all there is, `records` for what is logged.
`ways` chooses; start there. Nothing is imported here: the keeper has to start at once.
"""
