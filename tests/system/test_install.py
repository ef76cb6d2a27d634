"""`make run` on machines that lack something: one clear line, before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
UNPRIVILEGED = "nobody" if os.geteuid() == 0 else None
SECONDS = 60.0

# As Debian has it: Python without the package python3-venv.
WITHOUT_VENV = f"""#!/bin/sh
case "$*" in
    *"import venv, ensurepip"*) echo "No module named 'ensurepip'" >&2; exit 1 ;;
esac
exec {sys.executable} "$@"
"""
OLD = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def checkout() -> Iterator[Path]:
    """What `make run` needs of a clone to come to our line, in a folder that others can enter."""
    with tempfile.TemporaryDirectory(prefix="postroom-clone-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("Makefile", "protos/pyproject.toml", "requirements/install"):
            (folder / part).parent.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / part, folder / part)
        (folder / "requirements/run.txt").touch()
        yield folder
        folder.chmod(0o755)


def install(checkout: Path, python: str = "", user: str | None = None) -> str:
    """What is told on stderr by an installation that fails."""
    ran = subprocess.run(
        [checkout / "requirements/install", "requirements/run.txt"],
        cwd="/",
        env={"PATH": os.environ["PATH"], "POSTROOM_PYTHON": python},
        user=user,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    return ran.stderr


def make_python(folder: Path, script: str) -> str:
    python = folder / "python3.11"
    python.write_text(script)
    python.chmod(0o755)
    return str(python)


def test_python_without_venv(checkout: Path, tmp_path: Path) -> None:
    python = make_python(tmp_path, WITHOUT_VENV)

    assert install(checkout, python) == (
        f"{python} has no venv module: on Debian and Ubuntu, "
        "'apt-get install python3.11-venv' brings it.\n"
    )
    assert not (checkout / ".venv").exists()


def test_make_run_with_python_without_venv(checkout: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["make", "run"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "POSTROOM_PYTHON": make_python(tmp_path, WITHOUT_VENV)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    ours, make = ran.stderr.splitlines()
    assert ran.returncode == 2  # GNU make's own
    assert ran.stdout == ""
    assert "has no venv module" in ours
    assert make.startswith("make: ***")


def test_no_python_that_is_new_enough(checkout: Path, tmp_path: Path) -> None:
    assert install(checkout, make_python(tmp_path, OLD)) == (
        "Python 3.11 or newer is needed and wasn't found: "
        "install it, or name it in POSTROOM_PYTHON.\n"
    )


def test_a_checkout_that_can_not_be_written(checkout: Path) -> None:
    checkout.chmod(0o555)

    assert install(checkout, user=UNPRIVILEGED) == (
        f"Can't write to {checkout}: clone Postroom to a folder of your own.\n"
    )
