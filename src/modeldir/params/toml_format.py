"""TOML for `params_files`: parse a params file, and write one without losing its comments.

The standard library reads (tomlkit on Python 3.10), and tomlkit writes.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params.json_errors import TOO_DEEP, broken, broken_at
from modeldir.params.nested import Plain


def parse(text: str, shown: str) -> object:
    """Return the values of a TOML text, or raise an error with line and column."""
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - few files are TOML

        try:
            return tomllib.loads(text)
        except RecursionError:
            raise broken(shown, TOO_DEEP) from None
        except ValueError as error:
            raise _error(str(error), text, shown) from None
    return _parse_with_tomlkit(text, shown)


def _error(said: str, text: str, shown: str) -> ParamsError:
    said = said.replace("Cannot overwrite a value", "a name is given twice")
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if place is None:
        said = said.replace("at end of document", "the file ends here")
        return broken_at(text, len(text.rstrip()), shown, said)
    return broken(shown, said[: place.start()], None, int(place[1]), int(place[2]))


def _parse_with_tomlkit(text: str, shown: str) -> object:
    import tomlkit  # noqa: PLC0415 - few files are TOML
    from tomlkit.exceptions import ParseError  # noqa: PLC0415

    try:
        return tomlkit.parse(text).unwrap()
    except ParseError as error:
        said = re.sub(r"\.? at line \d+ col \d+$", "", str(error))
        raise broken(shown, said, None, error.line, error.col + 1) from None
    except ValueError as error:
        raise broken(shown, str(error)) from None
    except RecursionError:
        raise broken(shown, TOO_DEEP) from None


def places(_: str) -> dict[str, tuple[int, int]]:
    """Return no places: the libraries for TOML do not tell where a value stands."""
    return {}


def dumped(values: Plain) -> str:
    import tomlkit  # noqa: PLC0415 - few files are TOML

    return tomlkit.dumps(values)


class Document:
    """A TOML text. Its `values` can be changed in place; `text` keeps the comments."""

    def __init__(self, text: str) -> None:
        import tomlkit  # noqa: PLC0415 - as above

        self.values: Any = tomlkit.parse(text)

    def text(self) -> str:
        import tomlkit  # noqa: PLC0415 - as above

        return tomlkit.dumps(self.values)
