"""Tell whether the stubs in protos/gen are what the .proto files make.

Usage: python protos/compare.py    (status 1 and the names of the files that differ, where not)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    with tempfile.TemporaryDirectory() as fresh:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        subprocess.run(  # noqa: S603
            [sys.executable, HERE / "generate.py", fresh],
            env={**os.environ, "PATH": path},
            check=True,
        )
        made, kept = read_stubs(Path(fresh)), read_stubs(HERE / "gen")
    stale = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    if stale:
        sys.stderr.write(f"Run 'make protos': not what the .proto files make: {', '.join(stale)}\n")
    return bool(stale)


def read_stubs(folder: Path) -> dict[str, bytes]:
    """Every file of a folder of stubs, by its name."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


if __name__ == "__main__":
    sys.exit(main())
