# ruff: noqa: INP001, E402, I001 - a script, not the package, with the tests' own helpers
"""The report's pictures, taken in a real Chromium of 300 made-up trials.

python docs/pictures/report.py
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from browsers import Reader, chromium
from forest import grow

from modeldir.results.report import write_report


def main() -> None:
    with tempfile.TemporaryDirectory() as place, chromium(Path(place) / "profile") as reader:
        path = write_report(grow(Path(place) / "learning_rate", 300))
        reader.open(path, width=1400, height=1480)
        take(reader, "report", 0.8)
        reader.drag("learning_rate", 0.35, 0.6)
        reader.js("document.querySelectorAll('#grid .row input')[1].click()")
        reader.js("document.querySelectorAll('#grid .row input')[3].click()")
        reader.prefer(dark=True)
        reader.size(1400, 1700)
        reader.js("scrollTo(0, 0)")
        reader.settle()
        take(reader, "report_brushed", 0.8)
        reader.open(path, width=390, height=1500)
        take(reader, "report_narrow", 1)


def take(reader: Reader, name: str, scale: float) -> None:
    width, height = reader.js("return [innerWidth, innerHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
    how = {"format": "webp", "quality": 75, "clip": clip}
    made = reader.driver.execute_cdp_cmd("Page.captureScreenshot", how)
    (HERE / f"{name}.webp").write_bytes(base64.b64decode(made["data"]))


if __name__ == "__main__":
    main()
