"""Python imports this file when it starts, because `ask.py` put its folder on PYTHONPATH.

It loads `script_side` under a name of its own, so that the user's environment needs no modeldir.
Then it loads the `sitecustomize` whose place it took, if there is one.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT_SIDE = os.path.join(os.path.dirname(HERE), "script_side")


def _load_script_side() -> None:
    path = os.path.join(SCRIPT_SIDE, "__init__.py")
    spec = spec_from_file_location(
        "_modeldir_adopt", path, submodule_search_locations=[SCRIPT_SIDE]
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.install(os.environ["MODELDIR_ADOPT"])


def _load_the_other() -> None:
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != HERE]
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("MODELDIR_ADOPT"):
    _load_script_side()
_load_the_other()
