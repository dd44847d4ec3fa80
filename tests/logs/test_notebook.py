"""The log of a notebook, in a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from laboratory import wait_until
from logbook import ends, texts

# A cell sleeps where the kernel itself would otherwise show output of children in the next one.
CELLS = [
    "import ctypes, logging, os, time\nfrom modeldir import set_logger\nset_logger('nb.log')",
    "print('printed'); logging.info('logged')",
    "os.system('echo child'); ctypes.CDLL(None).puts(b'from C'); print('after'); time.sleep(1)",
    "def epoch(): return 1 / 0\nepoch()",
    "set_logger('nb.log')  # the cell again\nprint('still once')",
    "set_logger('second.log'); print('elsewhere'); os.system('echo child too')\ntime.sleep(1)",
]
RUN = """
import asyncio, json, sys, warnings
import nbclient, nbformat

cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
shown = [
    "".join(output.get("text", "") or output.get("ename", "") for output in cell.outputs)
    for cell in notebook.cells
]
print(json.dumps(shown))
"""


def test_cells_are_shown_and_kept(tmp_path: Path) -> None:
    """Prints, records, children, C code and tracebacks: in the cell as ever, in the file once."""
    # Under pytest the kernel itself would not look at descriptors.
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(CELLS)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=100,
    )
    shown = json.loads(done.stdout.splitlines()[-1])
    expected = [
        ("printed", "logged"),
        ("child", "from C", "after"),
        ("ZeroDivisionError",),
        ("still once",),
        ("elsewhere", "child too"),
    ]
    for cell, parts in zip(shown[1:], expected, strict=True):  # the kernel joins them as they come
        assert all(part in cell for part in parts), shown
        assert len(cell.replace("\n", "")) == sum(map(len, parts)), shown
    wait_until(lambda: ends(tmp_path / "nb.log") and ends(tmp_path / "second.log"))
    kept = texts(tmp_path / "nb.log")
    assert kept[:2] == ["printed", "logged"]
    assert sorted(kept[2:5]) == ["after", "child", "from C"]
    assert kept[5] == "Traceback (most recent call last):"
    assert kept[-2:] == ["ZeroDivisionError: division by zero", "still once"]
    assert not any("interactiveshell" in line for line in kept)
    assert sorted(texts(tmp_path / "second.log")) == ["child too", "elsewhere"]
