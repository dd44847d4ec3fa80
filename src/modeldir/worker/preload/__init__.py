"""Warm trials: a process imports once what a script imports, and forks a child for each trial.

    invocations.py   which commands are a Python script, and their parts
    learning.py      the pilot runs through it: what the script had imported, and when
    imports.py       what was learned, and a process that imports it ahead
    guards.py        when not to: before, and in the process that has imported
    child.py         from a forked child to what a new interpreter would be
    mainscript.py    a script run as `__main__`, to its very end

It knows what a new interpreter looks like to a script, and makes a fork look like one. It refuses
to know of trials, folders and slots: who forks, and when, is the supervisor's business. Whatever
cannot be made equal is refused, with a reason, and then the command runs cold.
"""
