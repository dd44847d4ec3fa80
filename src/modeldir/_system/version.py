"""The version of this package.

`pyproject.toml` and `modeldir --version` read it from here.
"""

__version__ = "0.1.0"
