"""Workers as processes: they end with whoever started them, and another takes the place of one that dies."""

import sys

import pytest

from tenfold import tuning
from tenfold.errors import ResourceError

DEADLY = """
import os, sys
if "tenfold.tuning.worker" in sys.orig_argv:
    os._exit(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_no_process_outlives_a_study_that_is_killed(story):
    assert story.orphans == []


def test_what_workers_warn_of_goes_to_a_log(story):
    assert (story.study.path / "workers.log").exists()


def test_processes_that_die_one_after_the_other_end_the_study(settings, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ResourceError, match=r"3 processes in a row have died, the last with exit code 3"):
        tuning.tune(settings, runs=tmp_path / "runs")
    study = tuning.open_study(tmp_path / "runs" / "tune-tiny")
    assert [trial.state for trial in study.trials] == ["failed"] * 3
    assert "exit code 3" in study.trials[0].reason
