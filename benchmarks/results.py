"""Writes one benchmark's part of docs/results.md, with the command, machine, versions and commit."""

import datetime
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.runs import Run

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "figures"  # what runs came to, kept where measuring takes more than a day


def write(part: str, text: str, packages: Iterable[str] = ("keras", "torch", "python")) -> None:
    """Puts `text`, and where it comes from, into its part of docs/results.md, with versions of `packages`."""
    found = machine.versions()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.strip()
    versions = ", ".join(f"{name} {found[name]}" for name in packages if name in found)
    command = shlex.join(["python", *sys.argv])
    provenance = (
        f"`{command}`; {datetime.date.today()}; {where(found)}; {versions}; commit {commit or 'unknown'}."
    )
    replace(ROOT / "docs" / "results.md", part, f"{_spaced(text)}\n\n{provenance}")


def _spaced(text: str) -> str:
    """Per cent with a space before them, but in code."""
    return re.sub(r"`[^`]*`|(?<=\d)%", lambda found: " %" if found[0] == "%" else found[0], text)


def commits(runs: Iterable[Run]) -> str:
    """The commits that runs were made at, each once; "unknown" stands for runs that do not tell."""
    return shortened(run.environment.get("commit", "unknown") for run in runs)


def shortened(commits: Iterable[str]) -> str:
    """Commits by their first ten digits, each once."""
    return ", ".join(dict.fromkeys(re.sub(r"^([0-9a-f]{10})[0-9a-f]+", r"\1", each) for each in commits))


def keep(path: Path, found: dict[str, Any]) -> None:
    """Writes what a run came to as a file, whole, so that one that is there is of a run that has finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def where(environment: dict[str, Any]) -> str:
    """The machine, from what `machine.versions` tells of it."""
    return f"{environment['processor']}, {environment['cores']} cores"


def origin(environment: dict[str, Any]) -> dict[str, str]:
    """Where and when a figure was found, for a file to keep; `environment` as `machine.versions` has it."""
    return {
        "machine": where(environment),
        "commit": environment.get("commit", "unknown"),
        "date": str(datetime.date.today()),
    }


def origins(kept: Sequence[dict[str, Any]]) -> str:
    """Machines and commits of several kept files, each once."""
    machines = ", ".join(dict.fromkeys(each["machine"] for each in kept))
    return f"{machines}; {shortened(each['commit'] for each in kept)}"


def replace(page: Path, part: str, text: str) -> None:
    """Replaces what a page holds between `<!-- part -->` and `<!-- /part -->`, and prints it."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
    if not pattern.search(before):
        raise SystemExit(f"{page} has no part {part!r}. Expected lines <!-- {part} --> and <!-- /{part} -->.")
    page.write_text(pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", before), encoding="utf-8")
    print(f"{text}\n\nWritten to {page}")
