"""A Keras model as OpenVINO's own files: a graph (.xml) and, beside it, its weights (.bin)."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tenfold import engines
from tenfold.exporting.content import Content
from tenfold.exporting.graph import onnx_file
from tenfold.exporting.integers import onnx_int8


def openvino_files(content: Content, path: Path) -> None:
    """Writes the ONNX file of `graph` as OpenVINO keeps models, in float32.

    Args:
        content: what goes in; its metadata are `rt_info`, under "framework".
        path: the graph's file, ending in .xml; the weights lie beside it.
    """
    _converted(content, path, onnx_file)


def openvino_int8(content: Content, path: Path) -> None:
    """As `openvino_files`, of the ONNX file of `integers`, always with care: OpenVINO is quicker with it."""
    _converted(replace(content, careful=True), path, onnx_int8)


def _converted(content: Content, path: Path, write: Callable[[Content, Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write(content, file)
        core = engines.core()
        import openvino

        # By itself it would round the weights to float16, and answers with them.
        openvino.save_model(core.read_model(file), path, compress_to_fp16=False)
