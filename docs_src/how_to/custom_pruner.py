"""A pruner that stops a trial below a fixed value."""


class NotBelow:
    def __init__(self, rungs, direction, *, least=0.5):
        self.least = least

    def should_prune(self, step, value):
        return f"below {self.least}" if value < self.least else None
