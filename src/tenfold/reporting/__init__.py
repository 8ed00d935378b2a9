"""The report: reads a run folder and nothing else, writes plots and one self-contained HTML page."""

from tenfold.reporting.page import report

__all__ = ["report"]
