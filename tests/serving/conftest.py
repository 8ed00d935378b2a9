"""A trained run of digits with its exported file, and `tenfold serve` on it as a process of its own."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold import datasets, images
from tenfold.config import Augmentation
from tenfold.prediction import Predictor
from tenfold.recipes import recipe
from tenfold.runs import Run
from tenfold.training import train


@dataclass
class Answer:
    """A response: its code, headers in lower case, and body."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """`tenfold serve` in a process of its own."""

    port: int
    process: subprocess.Popen
    folder: Path
    lines: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "image/png", **headers: str
    ) -> Answer:
        """One request on a connection of its own; a body that is no bytes goes as JSON."""
        if body is not None and not isinstance(body, bytes):
            body, kind = json.dumps(body).encode(), "application/json"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            more.setdefault("content-type", kind)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as to:
            to.request(method, path, body, more)
            response = to.getresponse()
            return Answer(
                response.status, {name.lower(): text for name, text in response.getheaders()}, response.read()
            )

    def raw(self, sent: bytes, wait: float = 10) -> bytes:
        """What comes back for bytes that may be no request at all, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as to:
            with contextlib.suppress(ConnectionError):
                to.sendall(sent)
            found = b""
            with contextlib.suppress(ConnectionError, TimeoutError):
                while part := to.recv(65536):
                    found += part
            return found

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines on its stdout."""
        return [json.loads(line) for line in (self.folder / "out").read_text().splitlines()]

    @property
    def told(self) -> str:
        """What it said on stderr."""
        return (self.folder / "err").read_text()

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """Waits for something to come true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"it never came\n{self.told}"
            assert self.process.poll() is None, self.told
            time.sleep(0.05)
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def served(folder: Path, *words: object, ready: bool = True, **environment: str) -> Iterator[Server]:
    """A server of these words on a free port, ready to answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tenfold", "serve", "--port", str(port), *map(str, words)]
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **environment})
    server = Server(port, process, folder)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return server.ask("GET", "/health/ready").code == 200
        return False

    try:
        if ready:
            server.until(answers)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """Digits, trained for two epochs, calibrated, exported and measured."""
    for name, extra in {"starlette": "serve", "uvicorn": "serve", "onnxscript": "export"}.items():
        pytest.importorskip(name, reason=f"needs the extra `{extra}`")
    plain = replace(recipe("tiny"), augmentation=Augmentation(), precision="float32")
    made = train(replace(plain, data="digits", epochs=2), runs=tmp_path_factory.mktemp("runs"), name="digits")
    Predictor(made)
    return made


@pytest.fixture(scope="session")
def server(run, tmp_path_factory) -> Iterator[Server]:
    """One server for all tests that only ask."""
    with served(tmp_path_factory.mktemp("server"), run.path, "--max-error", "5%") as found:
        yield found


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """Real digits, uint8 (20, 32, 32, 3)."""
    return datasets.load("digits").images[:20]


@pytest.fixture(scope="session")
def pictures(digits) -> list[bytes]:
    """The same as PNG files."""
    return [images.encode_png(picture) for picture in digits]


@pytest.fixture(scope="session")
def expected(run, digits) -> np.ndarray:
    """What `tenfold predict` answers to them."""
    return Predictor(run).predict(digits)


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Server]]:
    """A function that starts servers of a test's own, and ends them with it."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(*words: object, **more: Any) -> Server:
            nonlocal count
            count += 1
            return stack.enter_context(served(tmp_path / f"server-{count}", *words, **more))

        yield start
