"""Make the stubs in protos/gen from the .proto files beside this script.

Usage: python protos/generate.py [OUTPUT]    (default: protos/gen)

The proto packages are the Python packages (`postroom.auth.v1`), so the stubs need no repair.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gen"
    shutil.rmtree(output / "postroom", ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path) for path in HERE.glob("postroom/**/*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"-I{HERE}",
            f"--python_out={output}",
            f"--grpc_python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--mypy_grpc_out=quiet:{output}",
            *sources,
        ]
    )
    (output / "postroom" / "py.typed").touch()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
