"""Learn the options of a user's script without its training, and write them as a base config.

`modeldir adopt` calls this. Start at `ask.Script`, which runs the user's command until the script
reads its options, then at `proposal.propose`:

    ask.py              runs the command with `hook` on PYTHONPATH, and asks the script's parser
    hook/               makes every Python that the command starts load `script_side`
    script_side/        runs in the user's process; standard library only
    proposal.py         the params file and the command that pass all of it on
    output_options.py   which option is the output folder
    first_search.py     which hyperparameter to search first, and over what

The rule that must not break: nothing of the script runs after it has asked for its options.
"""
