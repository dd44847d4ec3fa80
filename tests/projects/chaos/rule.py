"""Which trainings of the chaos suite are pruned: surely these, and no others."""


class BelowZero:
    """Stops whoever has an accuracy below zero, at once."""

    def __init__(self, rungs, direction):
        self.rungs = rungs

    def should_prune(self, step, value):
        self.rungs.record(step, value)
        return "it is below zero" if value < 0 else None
