"""Run the trials of a search: worker, slots, GPU leases, spawner and supervisor.

Start reading at `worker.py`. `supervisor.py` runs one attempt; `preload` forks trials from a
process that has imported what they need.
"""
