"""The deployment examples: what can be checked of them without Docker and without a running systemd."""

import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tenfold.cli import options
from tenfold.images import encode_png

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = DEPLOY / "tenfold.service"


def name(line):
    """The package of a line of requirements."""
    return re.split(r"[\[<>=;!~ ]", line.strip())[0].lower().replace("_", "-")


def wanted():
    lines = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [name(line) for line in lines if line.strip() and not line.startswith("#")]


def test_what_the_image_installs_is_pinned():
    pinned = {name(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    (engines,) = re.findall(r"^ARG PACKAGES=(\S+)", DOCKERFILE, re.MULTILINE)
    assert {*wanted(), engines, "openvino", "pyarrow"} <= pinned


def test_what_the_server_needs_is_in_the_image():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {name(line) for line in project["optional-dependencies"]["serve"]} <= set(wanted())
    assert not set(wanted()) & {"torch", "keras", "scikit-learn", "matplotlib"}


def test_the_image_copies_what_is_there_and_sent():
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in sent, f"{source} is not sent to the builder"


def test_the_image_is_not_root_and_says_how_it_is():
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    (check,) = re.findall(r"^\s*CMD (\[\"python\".*\])$", last, re.MULTILINE)
    program, flag, code = json.loads(check)
    assert (program, flag) == ("python", "-c")
    assert "/health/ready" in code
    assert "pip" not in last


def server_words():
    """The server's command in the unit, without the shell that reads the token."""
    text = UNIT.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.search(r"^ExecStart=.* /opt/tenfold/bin/tenfold (.+)$", text, re.MULTILINE)[1].split()


def test_both_start_the_server_with_options_that_exist():
    pytest.importorskip("uvicorn", reason="needs the extra `serve`")
    from tenfold.cli import serve

    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    for program, verb, *words in ([*json.loads(entry), *json.loads(command)], ["tenfold", *server_words()]):
        assert (program, verb) == ("tenfold", "serve")
        options.parse(serve.Options, words, verb="serve")


def test_systemd_finds_no_fault_with_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    # It looks for the programs too, and Tenfold is not under /opt here.
    text = UNIT.read_text(encoding="utf-8").replace("/opt/tenfold/bin/tenfold", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not said, done.stderr


def test_the_unit_gives_the_token_and_nothing_else_to_the_server(tmp_path):
    """Its shell, with systemd's own marks taken as systemd takes them."""
    text = UNIT.read_text(encoding="utf-8")
    script = re.search(r"^ExecStart=/bin/sh -c '(.+?)' sh", text, re.MULTILINE)[1].replace("$$", "$")
    (tmp_path / "token").write_text("a secret\n")
    show = "import os, sys; print(os.environ['TENFOLD_TOKEN'], sys.argv[1:])"
    words = ["/bin/sh", "-c", script, "sh", str(tmp_path / "token"), sys.executable, "-c", show, "a b", "c"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "a secret ['a b', 'c']\n"
    words[4] = str(tmp_path / "missing")
    assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode != 0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A run with an export, as it would be mounted."""
    from tenfold import exporting
    from tenfold.recipes import recipe
    from tenfold.training import train

    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    run = train(settings, runs=tmp_path_factory.mktemp("runs"), name="model")
    exporting.export(run)
    return run


def status(request):
    """The status of an answer; 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@pytest.mark.slow
def test_the_packages_of_the_image_are_enough(model, tmp_path):
    """What the second stage holds, in an environment of its own, started as the image starts it."""
    venv, source = tmp_path / "venv", tmp_path / "source"
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "-q"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    listed = ["-c", str(ROOT / "constraints.txt"), "-r", str(DEPLOY / "requirements.txt")]
    subprocess.run([*pip, *listed, "onnxruntime"], check=True)
    # A copy, as a build leaves files beside what it builds.
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    subprocess.run([*pip, "--no-deps", str(source)], check=True)
    installed = set(os.listdir(next((venv / "lib").glob("python3*")) / "site-packages"))
    assert not installed & {"torch", "keras", "sklearn", "scipy", "matplotlib", "pyarrow"}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {"PATH": f"{venv}/bin:/usr/bin:/bin", "TENFOLD_TOKEN": "secret", "HOME": str(tmp_path)}
    words = [str(venv / "bin" / "tenfold"), "serve", str(model.path), "--port", str(port)]
    server = subprocess.Popen(words, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while status(f"{address}/health/ready") != 200:
            assert server.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        picture = encode_png(model.gallery("train")[0][0])
        headers = {"Content-Type": "image/png"}
        assert status(urllib.request.Request(f"{address}/predict", data=picture, headers=headers)) == 401
        headers["Authorization"] = "Bearer secret"
        request = urllib.request.Request(f"{address}/predict", data=picture, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        assert found["predictions"][0]["top"][0]["label"] in model.class_names
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 143
