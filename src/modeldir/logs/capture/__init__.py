"""Ways to hear what a process prints, for its log.

`place` chooses one of the `ways`; start there. Below them: `descriptors` (with `keeper`, a process
of its own, its `mirror`, the `ring` of what it has read, `recovery`, and the training's
`departure`), `streams` for where Python's objects are all there is; beside them `records` for what
is logged. Nothing is imported here: the keeper has to start at once.
"""
