"""Searches on hostile file systems: several mounts, stale caches, failing system calls.

`make chaos` runs `campaign`, the test suite runs a quick variant of each part (`test_hostile`).
What a training run did is taken from its own journal (`journal`), never from modeldir.
"""
