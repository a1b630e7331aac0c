"""Writes the message types from the .proto files: `python -m gpu_device_plugin.wire.generate [FOLDER]`.

For developers only (grpcio-tools is no run-time dependency). What it writes is committed, and a test holds it
to the .proto files: a node starts the plugin from what was tested, and needs no compiler.
"""

import sys
from pathlib import Path

SOURCES = ("base.proto", "device.proto", "go_plugin.proto")


def generate(out: Path) -> None:
    """Write `gpu_device_plugin/wire/*_pb2.py` and `.pyi` under `out`."""
    from importlib.resources import files

    from grpc_tools import protoc

    here = Path(__file__).parent
    root = here.parent.parent
    # The tree is kept, so that the generated imports name this package.
    status = protoc.main(
        [
            "protoc",
            f"-I{root}",
            f"-I{files('grpc_tools') / '_proto'}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            *(str(here / name) for name in SOURCES),
        ]
    )
    if status:
        raise SystemExit(f"protoc ended with status {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent.parent)
