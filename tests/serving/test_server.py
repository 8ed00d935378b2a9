"""The process: what it loads, how it starts, reloads and stops, and what strangers can do to it."""

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tenfold import runs
from tenfold.errors import UsageError


def memory(server):
    """Resident bytes of the server's process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_it_starts_soon_small_and_without_keras_or_torch(serve, run, pictures):
    start = time.monotonic()
    server = serve(run.path, "--max-error", "5%")
    seconds = time.monotonic() - start
    assert server.ask("POST", "/explain", pictures[0]).code == 200
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert not any(f"site-packages/{name}/" in maps for name in ("torch", "tensorflow", "jaxlib", "keras"))
    assert memory(server) < 300 * 2**20
    assert seconds < 15  # three on an idle machine; benchmarks/serving.py holds it to that


def test_neither_keras_nor_torch_can_be_needed(serve, run, pictures, tmp_path):
    for name in ("keras", "torch", "tensorflow", "jax", "sklearn", "matplotlib"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise SystemExit('imported')")
    server = serve(run.path, "--max-error", "5%", PYTHONPATH=str(tmp_path / "broken"))
    assert server.ask("POST", "/predict", pictures[0]).code == 200
    assert server.ask("POST", "/explain", pictures[0]).code == 200


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopping_answers_what_was_accepted(serve, run, pictures, number, code):
    server = serve(run.path, "--wait", "1500", "--batch-size", "64")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(server.ask, "POST", "/predict", picture) for picture in pictures[:8]]
        time.sleep(0.5)  # they wait for company
        server.process.send_signal(number)
        assert [one.result().code for one in asked] == [200] * 8
    assert server.process.wait(30) == code
    assert "All that was accepted has been answered" in server.told
    with pytest.raises(OSError, match="refused"):
        server.ask("GET", "/health/live")


def test_it_lives_before_it_is_ready(serve, run, tmp_path):
    copy = shutil.copytree(run.path, tmp_path / "copy")
    shutil.rmtree(copy / "exports")  # so that it takes seconds to be ready
    server = serve(copy, ready=False)

    def live():
        with contextlib.suppress(OSError):
            return server.ask("GET", "/health/live")
        return None

    assert server.until(live).code == 200
    waiting = server.ask("GET", "/health/ready")
    assert (waiting.code, waiting.json["status"]) == (503, "starting")
    assert server.ask("POST", "/predict", b"x").json["error"]["code"] == "not_ready"
    server.until(lambda: server.ask("GET", "/health/ready").code == 200, 120)
    assert (copy / "exports" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 2, "nowhere is not a run folder"),
        (["RUN", "--port", "70000"], 2, "Cannot listen there"),
        (["RUN", "--host", "no.such.host.invalid"], 2, "Cannot listen there"),
        (["RUN", "--queue", "0"], 2, "--queue must be 1 or more"),
        (["RUN", "--runtime", "tensorrt"], 2, "Choices"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_an_exit_code(serve, run, words, code, said):
    server = serve(*[run.path if word == "RUN" else word for word in words], ready=False)
    assert server.process.wait(120) == code
    assert said in server.told
    assert "Traceback" not in server.told


def test_what_is_not_installed_is_told_with_the_line_that_installs_it(serve, run, tmp_path):
    (tmp_path / "without").mkdir()
    missing = "raise ModuleNotFoundError('No module named starlette', name='starlette')"
    (tmp_path / "without" / "starlette.py").write_text(missing)
    server = serve(run.path, ready=False, PYTHONPATH=str(tmp_path / "without"))
    assert server.process.wait(60) == 4
    assert "Serving needs starlette. Install it with: pip install 'tenfold[serve,export]'" in server.told


def test_a_port_that_is_taken_is_told(server):
    from tenfold.serving.server import _listening

    with pytest.raises(UsageError, match="Address already in use"), _listening("127.0.0.1", server.port):
        pass


class TestReload:
    """A new model takes over while requests go on."""

    def test_no_request_is_lost(self, serve, run, pictures, tmp_path):
        copy = runs.Run(shutil.copytree(run.path, tmp_path / "copy"))
        server = serve(copy.path, "--max-error", "5%")
        stop, codes = threading.Event(), []

        def keep_asking():
            to = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            for picture in itertools.cycle(pictures):
                to.request("POST", "/predict", picture, {"content-type": "image/png"})
                response = to.getresponse()
                codes.append((response.status, json.loads(response.read())["predictions"][0]["doubt"]))
                if stop.is_set():
                    return to.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(keep_asking) for _ in range(4)]
            known = {**copy.calibration["familiarity"], "least": 2.0}  # nothing is familiar any more
            copy.write("calibration.json", {**copy.calibration, "familiarity": known})
            server.process.send_signal(signal.SIGHUP)
            server.until(lambda: "Reloaded: copy." in server.told)
            time.sleep(0.2)
            stop.set()
            for one in asking:
                one.result()
        assert {code for code, _ in codes} == {200}
        assert "unlike the pictures the model knows" in codes[-1][1]
        assert any("unlike" not in doubt for _, doubt in codes)
        assert server.ask("GET", "/v1/models/copy").json["model_version_status"][0]["version"] == "2"

    def test_a_bad_model_is_told_and_the_old_one_answers_on(self, serve, run, pictures, tmp_path):
        copy = runs.Run(shutil.copytree(run.path, tmp_path / "copy"))
        server = serve(copy.path)
        copy.model_path.write_bytes(b"no model")
        server.process.send_signal(signal.SIGHUP)
        server.until(lambda: "Not reloaded" in server.told, 120)
        assert "model.keras" in server.told  # what the process that exports said
        assert "Traceback" not in server.told
        assert server.ask("POST", "/predict", pictures[0]).code == 200


class TestStrangers:
    """Clients that send anything but what is expected."""

    def test_headers_without_end_are_refused(self, server):
        head = b"GET / HTTP/1.1\r\nhost: a\r\n"
        for sent in (
            head + b"x-long: " + b"y" * 100_000,
            head + b"".join(b"x-%d: y\r\n" % number for number in range(20_000)),
            head + b"x-long: " + b"y" * 40_000 + b"\r\n\r\n",
            b"GET /" + b"y" * 100_000,
        ):
            answer = server.raw(sent)
            assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"", answer[:100]
        assert server.ask("GET", "/health/live").code == 200

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"nonsense\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"GET /%ff%00 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n",
        ],
    )
    def test_what_is_no_request_is_refused_and_nothing_breaks(self, server, sent):
        answer = server.raw(sent)
        assert not answer.startswith(b"HTTP/1.1 5")
        assert server.ask("GET", "/health/live").code == 200
        assert "Traceback" not in server.told

    def test_slow_headers_and_silent_connections_are_ended(self, serve, run):
        server = serve(run.path, "--timeout", "1", "--idle", "1")
        with socket.create_connection(("127.0.0.1", server.port), timeout=6) as silent:
            assert silent.recv(100) == b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=6) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\n")
            answer = slow.recv(1000)
            assert answer.startswith(b"HTTP/1.1 408 ")

    def test_connections_beyond_the_bound_are_told_and_the_others_go_on(self, serve, run, pictures):
        server = serve(run.path, "--connections", "8")
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
        try:
            time.sleep(0.2)
            answer = server.raw(b"")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in answer
        finally:
            for one in held:
                one.close()
        server.until(lambda: server.ask("POST", "/predict", pictures[0]).code == 200)

    def test_hostile_uploads_take_no_memory_for_good(self, server, pictures):
        bodies = [b"", b"text", os.urandom(20_000), pictures[0][:40], pictures[0] * 2000, b"\xff\xd8" * 9999]

        def ask(number):
            body = bodies[number % len(bodies)]
            return server.ask("POST", "/predict", body).code

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(60))) <= {200, 422}
            before = memory(server)
            assert set(pool.map(ask, range(300))) <= {200, 422}
        assert memory(server) - before < 30 * 2**20
        assert server.ask("POST", "/predict", pictures[0]).code == 200
