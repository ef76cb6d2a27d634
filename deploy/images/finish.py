"""Makes what pip installed fit for an image: the last step of building one, within it.

Usage: python3 finish.py SERVICE. Leaves out what only compilers read, strips libraries, writes the
command that is the service, compiles what it imports (a container can't write down what it
compiled), and names the Debian packages whose libraries were linked to. The same sources give the
same bytes: times are SOURCE_DATE_EPOCH, and bytecode is checked against no file's time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOME = Path("/opt/postroom")
# Of Debian: what the image that all stands on has, and what is needed beside it.
BASE_PACKAGES = Path("base-packages")
PACKAGES = Path("packages")

FOR_COMPILERS = {".c", ".cpp", ".h", ".hpp", ".proto", ".pxd", ".pxi", ".pyi", ".pyx"}

COMMAND = f"""#!{HOME}/bin/python
from runpy import run_module

run_module("postroom_{{}}", run_name="__main__", alter_sys=True)
"""

# With python:3.14-slim, which has 120 MB, no image may come to 200: what is compiled takes the room
# that is left, and the rest is compiled at every start (half a second of them all).
LARGEST = 78_000_000

# The probe's first, which runs every few seconds; then in the order in which it imports them.
IMPORTED = """
import importlib, sys

importlib.import_module("postroom_chassis.probe")
importlib.import_module(sys.argv[1] + ".__main__")
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and file.endswith(".py"):
        print(file)
"""

# In a process of its own, which knows nothing but what it compiles.
COMPILE = """
import os, sys
from py_compile import PycInvalidationMode, compile

room = int(sys.argv[1])
for line in sys.stdin:
    made = compile(
        line.rstrip("\\n"), doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    room -= os.path.getsize(made)
    if room < 0:
        os.unlink(made)
        break
"""


def main(service: str) -> None:
    for file in installed(*FOR_COMPILERS):
        file.unlink()
    libraries = [file for file in HOME.rglob("*.so*") if file.is_file()]
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    PACKAGES.write_text("".join(f"{name}\n" for name in sorted(linked_packages(libraries))))
    command = HOME / "bin/postroom-service"
    command.write_text(COMMAND.format(service))
    command.chmod(0o755)
    compile_imported(service)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in (HOME, *HOME.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def installed(*suffixes: str) -> Iterator[Path]:
    """Installed files, by how their names end."""
    yield from (file for file in HOME.rglob("*") if file.suffix in suffixes and file.is_file())


def linked_packages(libraries: list[Path]) -> set[str]:
    """The Debian packages that installed libraries need, of what the image stands on lacks."""
    told = subprocess.run(["ldd", *libraries], capture_output=True, text=True, check=True).stdout
    found = {line.split(" => ")[1].split(" (")[0] for line in told.splitlines() if " => /" in line}
    outside = {Path(one).resolve().name for one in found if not Path(one).is_relative_to(HOME)}
    # By their names alone: Debian moved its folders, and not every package knows of that.
    owners = subprocess.run(
        ["dpkg-query", "--search", *(f"*/{name}" for name in sorted(outside))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    there = set(BASE_PACKAGES.read_text().split())
    return {line.split(":")[0] for line in owners.splitlines()} - there


def compile_imported(service: str) -> None:
    """Write down the bytecode of what a service imports, as far as there is room for it."""
    python = HOME / "bin/python"
    environment = {"PATH": os.environ["PATH"], "PYTHONPYCACHEPREFIX": str(HOME / "bytecode")}
    imported = subprocess.run(
        [python, "-B", "-c", IMPORTED, f"postroom_{service}"],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    room = LARGEST - sum(file.lstat().st_size for file in HOME.rglob("*") if file.is_file())
    subprocess.run(
        [python, "-B", "-c", COMPILE, str(room)], env=environment, input=imported, check=True
    )


if __name__ == "__main__":
    main(sys.argv[1])
