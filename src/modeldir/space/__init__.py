"""The search space: what each hyperparameter may be, and the configurations that follow from it.

Start at `parse_space`, which returns a `Space` or one error with everything that is wrong. A
configuration is a dict of hyperparameters by dotted name. `samplers` decide which comes next.
"""

from modeldir.space.builders import choice, int, log_int, log_uniform, uniform  # noqa: A004 - the word
from modeldir.space.cli_syntax import parse_domain_text
from modeldir.space.constraints import Constraint
from modeldir.space.domain_parsing import is_alone
from modeldir.space.domains import (
    DIGITS,
    ENDLESS,
    WORDS,
    Choice,
    Domain,
    Int,
    LogInt,
    LogUniform,
    Uniform,
)
from modeldir.space.first_configurations import QUEUE, Queue
from modeldir.space.grids import draw, fill, grid, size
from modeldir.space.parsing import parse_space
from modeldir.space.space import Dim, Space
from modeldir.space.trial_names import LONGEST_NAME, trial_name, value_text

__all__ = [
    "DIGITS", "ENDLESS", "LONGEST_NAME", "QUEUE", "WORDS", "Choice", "Constraint", "Dim", "Domain",
    "Int", "LogInt", "LogUniform", "Queue", "Space", "Uniform", "choice", "draw", "fill", "grid",
    "int", "is_alone", "log_int", "log_uniform", "parse_domain_text",
    "parse_space", "size", "trial_name", "uniform", "value_text",
]  # fmt: skip
