"""What each hyperparameter of a search may be, the points of such a space, and a trial's name.

It knows the domains (a list, `uniform`, `log_uniform`, `int`, `log_int`; bounds inclusive), which
of them count when, go together or exclude each other, how all that is written in JSON, in Python
and on a command line, and everything that can be wrong with it. It refuses to know which point
comes next (samplers do) and what a trial is.

Start at `parse_space`. A point is a dict of hyperparameters by name, dotted where they are nested.

    domains      one hyperparameter: its values, and what chance makes of a number from 0 to 1
    constraints  what must hold for each point
    expressions  what a constraint says, computed without `eval`
    shape        the Space: domains, conditions, zips, constraints; which part of a point counts
    grids        all points of a space, and how many they are; points by chance
    queue        the points that are to be tried first
    parsing      a Space from what `search.json` says, or all that is wrong with it
    text         the same as it is typed
    pointsfile   a CSV file of points
    words        the same from Python: `space.uniform(0, 0.5, step=0.1)`
    names        how a point's trial is called
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
