"""What a run keeps of a model of the user's own leads back to it, unchanged."""

import hashlib
import json

import pytest

from tenfold.errors import DataError
from tenfold.keepsakes import CODE, NOTES, START, again


def keep(folder, file, content=b"content"):
    (folder / file).write_bytes(content)
    (folder / NOTES).write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))


def test_a_setting_leads_to_the_copy(tmp_path):
    assert again(tmp_path, "fast") == "fast"
    keep(tmp_path, START)
    assert again(tmp_path, "memory:net") == str(tmp_path / START)
    keep(tmp_path, CODE)
    assert again(tmp_path, "nets.py:wide") == f"{tmp_path / CODE}:wide"
    assert again(tmp_path, "nets.py") == f"{tmp_path / CODE}:build"


def test_a_copy_that_was_changed_is_not_taken(tmp_path):
    keep(tmp_path, CODE)
    (tmp_path / CODE).write_text("other code")
    with pytest.raises(DataError, match="has been changed since the run began"):
        again(tmp_path, "nets.py:build")
    (tmp_path / NOTES).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        again(tmp_path, "nets.py:build")
