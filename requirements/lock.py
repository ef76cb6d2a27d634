"""Lock what every service needs, one file per purpose, all at the same versions; and what scans
them, which stands for itself.

Usage: python requirements/lock.py [--upgrade]

dev.txt is resolved from everything together; the others are cut from it. Versions that are locked
already stay unless `--upgrade` is given.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
UV = Path(sys.executable).with_name("uv")

# What builds our own packages where they are installed from this repository.
BUILD = ("hatchling", "editables")


def main(flags: list[str]) -> None:
    named = read_dependencies()
    everything = {need for needs in named.values() for need in needs if need not in named}
    lock("dev", {*everything, *read_names("dev.in")}, flags)
    lock("scan", read_names("scan.in"), flags)
    constraint = ["--constraint", str(HERE / "dev.txt")]
    lock("run", {*everything, *BUILD}, constraint)
    lock("build", {"hatchling"}, constraint)
    lock("native", read_optional_dependencies(), constraint)
    for path in sorted(REPOSITORY.glob("services/*/pyproject.toml")):
        service = path.parent.name
        lock(service, closure(f"postroom-{service}", named), constraint)


def read_names(file: str) -> set[str]:
    """What a list of ours names, without its reasons."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def read_dependencies() -> dict[str, list[str]]:
    """What each package of this repository names as its dependencies, by the package's name."""
    named = {}
    for path in [REPOSITORY / "protos/pyproject.toml", *REPOSITORY.glob("*/*/pyproject.toml")]:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        named[project["name"]] = project["dependencies"]
    return named


def read_optional_dependencies() -> set[str]:
    """What is compiled where it is installed, of all packages: no part of the other files."""
    found: set[str] = set()
    for path in REPOSITORY.glob("services/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found |= set(project.get("optional-dependencies", {}).get("native", ()))
    return found


def closure(package: str, named: dict[str, list[str]]) -> set[str]:
    """The dependencies of a package and of those of ours that it stands on, ours left out."""
    found: set[str] = set()
    for need in named[package]:
        found |= closure(need, named) if need in named else {need}
    return found


def lock(name: str, requirements: Iterable[str], flags: list[str]) -> None:
    """Resolve requirements into requirements/<name>.txt, with hashes, for every platform."""
    subprocess.run(  # noqa: S603
        [
            *(UV, "pip", "compile", "-", "--output-file", HERE / f"{name}.txt", "--quiet"),
            *("--generate-hashes", "--universal", "--python-version", "3.11"),
            *("--no-emit-index-url", "--no-header", "--no-annotate", *flags),
        ],
        input="\n".join(sorted(requirements)).encode(),
        check=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
