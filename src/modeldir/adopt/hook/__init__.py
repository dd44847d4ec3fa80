"""The folder that `ask.py` puts on PYTHONPATH of the user's command.

The rule: nothing but `sitecustomize` is in it, or the user's script could import it by accident.
"""
