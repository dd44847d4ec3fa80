"""The machine, without experiments: files, processes, heartbeats, times, strings, plugins.

Every package above imports these modules, and they import nothing of modeldir but `errors`. Start
at `files.publish`, which decides every race between processes. The rule: no function here depends
on what a file or a process means to an experiment.
"""
