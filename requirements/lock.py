"""Make the hash-locked requirements: dev.txt for everything, then one for each service.

Usage: python requirements/lock.py    (in the environment that `make venv` makes)

The services' locks are constrained to the versions of dev.txt, so that what is tested is what
runs. No lock names an index: where packages come from is the installer's setting.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVICES = ("auth", "store", "smtp", "pop3", "imap", "admin")
UV = [
    str(Path(sys.executable).parent / "uv"),
    *("pip", "compile", "--quiet", "--upgrade", "--generate-hashes", "--universal"),
    *("--no-emit-index-url", "--no-header", "--no-annotate", "--python-version", "3.11"),
]


def dependencies(member: Path) -> set[str]:
    """What a member and those of ours that it stands on need from elsewhere."""
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    needed: set[str] = set()
    for name in project["dependencies"]:
        ours = {"postroom-protos": ROOT / "protos"}.get(name)
        if found := re.fullmatch(r"postroom-(chassis|mime)", name):
            ours = ROOT / "libs" / found[1]
        needed |= dependencies(ours) if ours else {name}
    return needed


def compile_lock(names: set[str], output: Path, *options: str) -> None:
    """Lock some requirements with all that they need."""
    source = "\n".join(sorted(names))
    command = [*UV, *options, "-", "--output-file", str(output)]
    subprocess.run(command, input=source, text=True, check=True)  # noqa: S603
    print(f"made {output.relative_to(ROOT)}")


def main() -> None:
    members = {name: dependencies(ROOT / "services" / name) for name in SERVICES}
    own = {line.split("#")[0].strip() for line in (HERE / "dev.in").read_text().splitlines()} - {""}
    compile_lock(set().union(own, *members.values()), HERE / "dev.txt")
    for name, needed in members.items():
        compile_lock(needed, HERE / f"{name}.txt", "--constraint", str(HERE / "dev.txt"))


if __name__ == "__main__":
    main()
