"""Against a real server on this machine: Range requests, broken connections, wrong files, several mirrors."""

import hashlib
import http.server
import os
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from tenfold.datasets.download import fetch
from tenfold.errors import DataError, ResourceError

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Mirror:
    """What a server of files does; paths choose how it misbehaves."""

    address: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


@pytest.fixture
def mirror():
    state = Mirror()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if self.path == "/gone":
                self.send_error(404)
                return
            content = CONTENT[::-1] if self.path == "/wrong" else CONTENT
            if self.path == "/no-range":
                start = 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = start + 300_000 if self.path == "/breaks" else len(content)
            self.wfile.write(content[start:end])
            self.close_connection = True

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.bin"


def only_file(target):
    return [path.name for path in target.parent.iterdir()]


def test_a_file_arrives_whole_and_tells_its_progress(mirror, target):
    told = []
    assert fetch([mirror.url("good")], target, SHA256, lambda *args: told.append(args)) == target
    assert target.read_bytes() == CONTENT
    assert only_file(target) == ["file.bin"]
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    fetch([mirror.url("good")], target, SHA256)
    assert len(mirror.asked) == 1


def test_a_broken_connection_is_taken_up_where_it_ended(mirror, target):
    fetch([mirror.url("breaks")], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert mirror.asked == [
        ("/breaks", None),
        ("/breaks", "bytes=300000-"),
        ("/breaks", "bytes=600000-"),
    ]


@pytest.mark.parametrize("path", ["good", "no-range"])
def test_a_stopped_download_continues_in_the_next_call(mirror, target, path):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT[:100_000])
    fetch([mirror.url(path)], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert mirror.asked == [(f"/{path}", "bytes=100000-")]


def test_an_interrupt_leaves_the_part_for_later(mirror, target):
    def interrupt(done, total):
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([mirror.url("good")], target, SHA256, interrupt)
    assert only_file(target) == ["file.bin.part"]
    fetch([mirror.url("good")], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert mirror.asked[-1][1].startswith("bytes=")


def test_a_whole_part_needs_no_more_bytes(mirror, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT)
    fetch([mirror.url("good")], target, SHA256)
    assert target.read_bytes() == CONTENT


def test_the_next_mirror_serves_where_one_is_gone_or_wrong(mirror, target):
    fetch([mirror.url("gone"), mirror.url("wrong"), mirror.url("good")], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert [path for path, _ in mirror.asked] == ["/gone", "/wrong", "/good"]


def test_a_spoilt_part_is_started_again(mirror, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"x" * 1000)
    fetch([mirror.url("good")], target, SHA256)
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in mirror.asked] == ["bytes=1000-", None]


def test_when_all_fail_each_reason_is_named_and_nothing_is_kept(mirror, target):
    nobody = "http://127.0.0.1:1/file"
    with pytest.raises(DataError, match=r"answered 404.*wrong SHA-256.*127\.0\.0\.1:1 \(") as caught:
        fetch([mirror.url("gone"), mirror.url("wrong"), nobody], target, SHA256)
    assert "\n" not in str(caught.value)
    assert only_file(target) == []


def test_a_file_that_is_there_is_never_touched(mirror, target):
    target.parent.mkdir()
    target.write_bytes(b"the user's own")
    fetch([mirror.url("good")], target, SHA256)
    assert target.read_bytes() == b"the user's own"
    assert mirror.asked == []


def test_two_calls_at_once_download_once(mirror, target):
    threads = [threading.Thread(target=fetch, args=([mirror.url("good")], target, SHA256)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(mirror.asked) == 1


def test_a_folder_that_cannot_be_made_is_a_matter_of_resources(mirror, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ResourceError, match="cannot be written"):
        fetch([mirror.url("good")], tmp_path / "cache" / "file.bin", SHA256)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_matter_of_resources(mirror, target):
    target.parent.mkdir(mode=0o500)
    with pytest.raises(ResourceError, match="Choose a folder that you may write"):
        fetch([mirror.url("good")], target, SHA256)
