"""The search space: what each hyperparameter may be, and the configurations that follow from it.

Searches, samplers and exports use it. Start at `parse_space`, which returns a `Space` or one error
with everything that is wrong. A configuration (in the code: a point) is a dict of hyperparameters
by name, dotted if they are nested. Which configuration comes next is decided in `samplers`.

    domains         the range of one hyperparameter: a list, `uniform`, `log_uniform`, `int`, ...
    space           `Space`: domains, conditions, zipped lists, constraints; what is active
    constraints     what must hold for each configuration
    expressions     evaluates a constraint, without `eval`
    grids           all configurations of a space, their number, and random ones
    first_points    the configurations to try first
    parsing         from `search.json` to a `Space`; domain_parsing: one domain of it
    cli_syntax      the same as typed on a command line
    points_csv      a CSV file of configurations
    builders        the same in Python: `space.uniform(0, 0.5, step=0.1)`
    trial_names     the name of a trial's folder
    problems        what can be wrong
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
from modeldir.space.first_points import QUEUE, Queue
from modeldir.space.grids import draw, fill, grid, size
from modeldir.space.parsing import parse_space
from modeldir.space.space import Dim, Space, names_fit
from modeldir.space.trial_names import LONGEST_NAME, trial_name, value_text

__all__ = [
    "DIGITS",
    "ENDLESS",
    "LONGEST_NAME",
    "QUEUE",
    "WORDS",
    "Choice",
    "Constraint",
    "Dim",
    "Domain",
    "Int",
    "LogInt",
    "LogUniform",
    "Queue",
    "Space",
    "Uniform",
    "choice",
    "draw",
    "fill",
    "grid",
    "int",
    "is_alone",
    "log_int",
    "log_uniform",
    "names_fit",
    "parse_domain_text",
    "parse_space",
    "size",
    "trial_name",
    "uniform",
    "value_text",
]
