"""SHA-256 as the interpreter itself has it, without what `hashlib` loads first.

`hashlib` loads OpenSSL, which takes 4 ms: longer than all that a command hashes. What is not in
this interpreter is taken from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # since Python 3.12
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
