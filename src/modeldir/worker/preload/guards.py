"""Reasons why a command, or a process with its imports, must not be forked.

`policy.py` asks before anything is imported, the import process (`spawner.py`) after. Each reason
is a sentence for the user. Threads that cannot be accounted for are a reason: a fork would hang on
their locks. Forks that go wrong nevertheless: `probation.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence

from modeldir.worker.preload import command_line
from modeldir.worker.preload.imports import ImportList, PreloadedModules

_NOT_TO_BE_FORKED = (
    "jax", "jaxlib", "tensorflow", "torch_xla", "grpc", "ray", "pyspark", "mpi4py", "horovod",
    "mxnet", "paddle", "oneflow", "cupy", "cudf", "rmm", "tensorrt", "vllm", "PyQt5", "PyQt6",
    "PySide2", "PySide6",
)  # fmt: skip
"""They start threads or use a device when they are imported, or their manual forbids forks."""
_LONG_ENOUGH = 3
"""How long a word has to be: a shorter one may be part of a value by chance."""
_JEMALLOC = "jemalloc_bg_thd"
_BLAS = re.compile(r"openblas|blis", re.IGNORECASE)


def command_objection(command: Sequence[str], learned: ImportList | None = None) -> str | None:
    """Return why a command's trials must not be preloaded; without `imports`: not recorded."""
    invocation = command_line.parse(command)
    if invocation is None:
        return f"{command[0] if command else 'nothing'!r} is not a plain `python script.py`"
    if not sys.platform.startswith("linux"):
        return "it works only on Linux"
    if learned is None:
        return None
    for name in learned.names:
        if name.partition(".")[0] in _NOT_TO_BE_FORKED:
            return f"{name.partition('.')[0]} must not be forked"
    variable = _variable_from_arguments(learned)
    if variable:
        return f"the script sets {variable} by its arguments before it imports libraries"
    return None


def _variable_from_arguments(learned: ImportList) -> str:
    """Return a variable that the script had set from its command line when it imported."""
    words = [word for word in learned.words[1:] if len(word) >= _LONG_ENOUGH]
    for module in learned.modules:
        for variable, value in module.changes.items():
            if any(word in (value or "") for word in words):
                return variable
    return ""


def process_objection(ahead: PreloadedModules | None = None) -> str | None:
    """Return why this process must not be forked after its imports; None if it may be."""
    if ahead is not None and ahead.objection is not None:
        return ahead.objection
    threads = _python_threads()
    if threads:
        return f"an import started a thread ({threads})"
    if _has_cuda():
        return "an import has begun to use CUDA, which a fork cannot share"
    more = _native_threads() - _blas_threads()
    if more > 0:
        return (
            f"an import started {more} thread{'s' if more > 1 else ''} that no Python code knows of"
        )
    return None


def _python_threads() -> str:
    threading = sys.modules.get("threading")
    if threading is None:
        return ""
    others = [each for each in threading.enumerate() if each is not threading.main_thread()]
    return ", ".join(each.name for each in others)


def _has_cuda() -> bool:
    """Whether a library has begun to use CUDA: a CUDA context keeps this device open."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("/dev/nvidia-uvm"):
                return True
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _native_threads() -> int:
    """Count the threads besides this one, without jemalloc's.

    jemalloc comes with pyarrow, which pandas and scikit-learn import if it is installed. It holds
    its locks through a fork, and starts its threads anew.
    """
    count = -1
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as file:
            count += file.read().rstrip("\n") != _JEMALLOC
    return count


def _blas_threads() -> int:
    """Count the threads of OpenBLAS, which ends them before a fork and makes them again."""
    return sum(max(0, _pool_size(path) - 1) for path in _mapped_libraries() if _BLAS.search(path))


def _mapped_libraries() -> set[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        paths = (line.rstrip("\n").partition("/") for line in file)
        return {slash + path for _, slash, path in paths if ".so" in path}


def _pool_size(path: str) -> int:
    import ctypes  # noqa: PLC0415 - only in an import process

    with contextlib.suppress(OSError):
        library = ctypes.CDLL(os.path.realpath(path), mode=getattr(os, "RTLD_NOLOAD", 4))
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("", "64_", "_64", "_64_"):
                asked = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                if asked is not None:
                    return int(asked())
    return 1
