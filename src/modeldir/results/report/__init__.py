"""The report: a tree of experiments as one HTML file that needs no server and no network.

Start at `report_file`. `page_data` collects everything that the page shows, and `page` puts it into
one file with the styles and scripts of `assets/`.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.results.report.report_file import write_report, write_tree_report

__all__ = ["write_report", "write_tree_report"]

_HOMES = {"modeldir.results.report.report_file": ("write_report", "write_tree_report")}
__getattr__ = attributes(__name__, _HOMES)
