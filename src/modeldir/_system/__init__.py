"""The machine, without a word of experiments: files, processes, heartbeats, times, text, plugins.

Every package above imports these modules, and they import nothing of modeldir but `errors`. Start
at `files.publish`, which decides every race between processes. The rule: nothing here knows what a
file, a process or a text means to an experiment.
"""
