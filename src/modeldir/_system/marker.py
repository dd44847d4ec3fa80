"""The base class of markers: objects that stand for "null" or "absent" among users' values.

`Null` (`_system.text`) and `Absent` (`params.equality`) are markers. A marker must never be equal
to a user's value, also not to the text that it contains: `params.equality` relies on this class.
"""

from __future__ import annotations

from enum import Enum


class Marker(Enum):
    """An Enum with one member, which is equal to nothing but itself."""
