"""Show versions, machine, optional parts and where CIFAR-10 is looked for."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from dataclasses import dataclass

import tenfold
from tenfold import machine


@dataclass(frozen=True)
class Options:
    """Show versions, backends, processor, optional parts, and where CIFAR-10 is looked for."""

    json: bool = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Prints the facts. Loads neither Keras nor a backend, so that it works where those are broken."""
    if options.json:
        import json

        print(json.dumps(facts(), ensure_ascii=False, indent=2))
        return 0
    for title, lines in facts().items():
        print(title)
        width = max(map(len, lines), default=0)
        for name, value in lines.items():
            print(f"  {name:<{width}}  {value}")
        print()
    return 0


def facts() -> dict[str, dict[str, str]]:
    """What is shown, by heading and name."""
    return {
        "Versions": {
            "tenfold": tenfold.__version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            **{name: _version(name) for name in _required()},
        },
        "Machine": {
            "system": platform.platform(),
            "processor": f"{machine.processor()} ({_vectors()})",
            "cores": f"{machine.cores()} for this process of {os.cpu_count()}",
            "memory": _memory(),
        },
        "Backend": {"in use": f"{os.environ['KERAS_BACKEND']} (KERAS_BACKEND or --backend changes it)"},
        "Optional parts": {extra: _state(extra, needs) for extra, needs in _extras().items()},
        "CIFAR-10 is looked for in": _cifar10(),
    }


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("tenfold") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _required(extra: str = "") -> list[str]:
    """The packages that Tenfold, or one optional part of it, needs on this machine, by pyproject.toml."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in _requirements()]
    return [
        one.name
        for one in wanted
        if (one.marker.evaluate({"extra": extra}) if one.marker else not extra)
        and ("extra" in str(one.marker)) == bool(extra)
    ]


def _extras() -> dict[str, list[str]]:
    """The packages of each optional part."""
    if not _requirements():
        return {}
    names = importlib.metadata.metadata("tenfold").get_all("Provides-Extra") or []
    return {name: _required(name) for name in names}


def _state(extra: str, packages: list[str]) -> str:
    versions = {name: _version(name) for name in packages}
    if any(version == "missing" for version in versions.values()):
        return f"not installed; pip install 'tenfold[{extra}]'"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _vectors() -> str:
    """What the processor computes many numbers at a time with, as far as training is concerned."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = set(re.findall(r"\bavx2\b|\bavx512f\b|\bavx512_bf16\b|\bamx_bf16\b", file.read()))
    except OSError:
        return "vectors unknown"
    return ", ".join(sorted(flags)) or "no wide vectors"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
    except (ValueError, OSError, AttributeError):
        return "unknown"


def _cifar10() -> dict[str, str]:
    from tenfold.datasets import catalogue

    return {str(place): "there" if place.is_dir() else "no such folder" for place in catalogue.places()}
