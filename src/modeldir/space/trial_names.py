"""The names of trials' folders by the values of their configurations.

The rule: a name must be safe for file systems and shells, but it is no identity. A trial's identity
is its number. `search.trials` finds out whether a name is taken. `Space.is_named_by_number` decides
whether folders are named by number instead (`experiment/trial_labels.py`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

LONGEST_NAME = 120
"""Bytes of a trial's name. Most file systems allow 255, but paths and logs need room too."""
_PLAIN = re.compile(r"[A-Za-z0-9_.,=+@%-]*")
"""Nearly all names are safe as they are."""


def value_text(value: object) -> str:
    """Return a value as it stands in names and commands: strings bare, else compact JSON."""
    if isinstance(value, str):
        return value
    return _compact(value)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once, because a search names every value."""


def trial_name(point: Mapping[str, object]) -> str:
    """Return the name of a trial's folder; different configurations may get the same name.

    >>> trial_name({"learning_rate": 0.01, "batch_size": 32})
    'learning_rate_0.01__batch_size_32'
    """
    name = "__".join(safe(f"{name}_{value_text(value)}") for name, value in point.items())
    return name.lstrip(".-").rstrip(".") or "trial"


def safe(text: str) -> str:
    """Remove separators, spaces, quotes, control characters and what a shell would interpret."""
    if _PLAIN.fullmatch(text):
        return text
    text = re.sub(r"\s+", "_", unicodedata.normalize("NFC", text))
    text = re.sub(r"[\[\](){}<>\"'`]", "", text)
    return re.sub("\0+", "-", "".join(char if _is_safe(char) else "\0" for char in text))


def _is_safe(char: str) -> bool:
    """Return whether a character is a letter of any script, a mark, a digit, or a harmless sign."""
    return char.isalnum() or char in "_.,=+@%-" or unicodedata.category(char) in {"Mn", "Mc"}
