"""The folder for what belongs to no run, and one process at a time in it."""

import threading
from pathlib import Path

from tenfold import cache


def test_the_place_is_the_one_that_the_user_names(monkeypatch, tmp_path):
    monkeypatch.delenv("TENFOLD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.home() == Path.home() / ".cache" / "tenfold"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.home() == tmp_path / "tenfold"
    monkeypatch.setenv("TENFOLD_CACHE", "~/elsewhere")
    assert cache.home() == Path.home() / "elsewhere"


def test_the_second_waits_for_the_first(tmp_path):
    said = []

    def second():
        with cache.alone(tmp_path):
            said.append("second")

    with cache.alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        said.append("first")
    thread.join(10)
    assert said == ["first", "second"]
