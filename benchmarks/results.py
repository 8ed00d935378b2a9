"""Writes one benchmark's part of docs/results.md, with the command, machine, versions and commit."""

import datetime
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tenfold import machine

PAGE = Path(__file__).parents[1] / "docs" / "results.md"


def write(part: str, text: str) -> None:
    """Replaces what stands between `<!-- part -->` and `<!-- /part -->` by `text` and where it comes from."""
    found = machine.versions()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=PAGE.parent,
        capture_output=True,
        text=True,
    ).stdout.strip()
    versions = ", ".join(f"{name} {found[name]}" for name in ("keras", "torch", "python") if name in found)
    command = shlex.join(["python", *sys.argv])
    provenance = (
        f"`{command}`; {datetime.date.today()}; {found['processor']}, {found['cores']} cores; {versions}; "
        f"commit {commit or 'unknown'}."
    )
    page = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(
            f"{PAGE} has no part {part!r}. Expected the lines <!-- {part} --> and <!-- /{part} -->."
        )
    page = pattern.sub(lambda match: f"{match[1]}{text}\n\n{provenance}\n{match[2]}", page)
    PAGE.write_text(page, encoding="utf-8")
    print(f"{text}\n\n{provenance}\n\nWritten to {PAGE}")
