"""A run with exports, shared by the tests of the bench."""

import dataclasses

import pytest

from tenfold import exporting
from tenfold.recipes import recipe
from tenfold.training import train


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A run with an ONNX file, a damaged one, and things that are no model. Tests may add to it."""
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    run = train(settings, runs=tmp_path_factory.mktemp("runs"), name="small")
    exporting.export(run)
    run.write("exports/broken.onnx", b"no model")
    run.write("exports/model_card.md", "# A card")
    run.write("exports/.1-model.onnx", b"half")
    return run
