"""Keeps the documents true: commands parse, Python blocks run, links and named files exist."""

import contextlib
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tenfold import cli
from tenfold.cli import options

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
SHELLS = ("bash", "sh", "console", "")
NOT_RUN = "<!-- not run:"  # on the line before a Python block, with the reason


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, its text, and the line before it."""

    file: Path
    line: int
    language: str
    text: str
    before: str


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def blocks(file: Path) -> tuple[Block, ...]:
    found: list[Block] = []
    lines = file.read_text(encoding="utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        language = lines[start].strip().removeprefix("```").strip()
        before = next((text for text in reversed(lines[:start]) if text.strip()), "")
        found.append(Block(file, start + 1, language, "\n".join(lines[start + 1 : number]), before))
        start = None
    assert start is None, f"{name(file)}:{start}: a fenced block is not closed"
    return tuple(found)


def commands(block: Block) -> list[list[str]]:
    """What follows `tenfold` in each line of a block of shell that begins with it."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        # A prompt, settings of the environment and the path of the program may come before.
        if begin := re.match(r"\s*(?:\$ )?(?:\w+=\S* )*(?:\S*/)?tenfold(?= )", line):
            words = shlex.split(line[begin.end() :], comments=True)
            ends = (number for number, word in enumerate(words) if word in ("|", "||", "&&", ";", "&", ">"))
            found.append(words[: next(ends, len(words))])
    return found


USES = [
    pytest.param(command, id=f"{name(file)}:{block.line}:{' '.join(command)}")
    for file in DOCUMENTS
    for block in blocks(file)
    if block.language in SHELLS
    for command in commands(block)
]


@pytest.mark.parametrize("command", USES)
def test_commands_parse(command):
    verb, *words = command
    if verb.startswith("-"):
        assert cli.main(command) == 0
        return
    assert verb in [known for group in cli.VERBS.values() for known in group]
    module = importlib.import_module(f"tenfold.cli.{verb}")
    with contextlib.suppress(SystemExit):  # after --help
        options.parse(module.Options, words, verb=verb)


def test_quick_start_is_the_two_scripts():
    """What `.ci/run` reads and runs."""
    section = README.read_text(encoding="utf-8").partition("\n## Quick start\n")[2].partition("\n## ")[0]
    first = re.search(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert first, "README.md has no bash block under '## Quick start'"
    commands = [line.partition("#")[0].strip() for line in first[1].splitlines()]
    assert commands == ["scripts/demo", "scripts/test"]


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/check", ".ci/run"])
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True, timeout=10)


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("file", DOCUMENTS, ids=name)
def test_links_lead_somewhere(file):
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = file.parent / path if path else file
        assert goal.exists(), f"{name(file)} links to {target}"
        if anchor and goal.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{name(file)} links to {target}: no such heading"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name)
def test_named_files_exist(file):
    """Inline code that names a path of the repository, as in `docs/log.md`, names one that exists."""
    for path in re.findall(
        r"`((?:src|scripts|tests|docs|examples|benchmarks|\.ci)/[\w./-]*)`", file.read_text("utf-8")
    ):
        assert (ROOT / path).exists(), f"{name(file)} names {path}"


PYTHON = [
    pytest.param([block for block in blocks(file) if block.language == "python"], id=name(file))
    for file in DOCUMENTS
    if any(block.language == "python" for block in blocks(file))
]


@pytest.mark.parametrize("found", PYTHON)
def test_python_blocks_run(found, tmp_path):
    """The blocks of one document run in their order as one program; all of them compile."""
    for block in found:
        compile(block.text, f"{name(block.file)}:{block.line}", "exec")
    program = "\n".join(block.text for block in found if not block.before.startswith(NOT_RUN))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
