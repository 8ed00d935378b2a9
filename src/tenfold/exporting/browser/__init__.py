"""A run as one web page that computes its answers itself: no server, no network, no installation.

The page holds the run's ONNX file, ONNX Runtime Web to compute it, and a way to show it pictures: choose,
drop, paste, camera. It is opened from disk like any file. See `runtime/README.md` for what computes it.
"""

from tenfold.exporting.browser.page import html, html_file, html_int8, told

__all__ = ["html", "html_file", "html_int8", "told"]
