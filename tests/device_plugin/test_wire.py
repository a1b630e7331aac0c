"""The committed message types are what the .proto files say."""

import filecmp
from pathlib import Path

import gpu_device_plugin.wire
from gpu_device_plugin.wire.generate import generate


def test_generating_the_message_types_again_gives_the_committed_ones(tmp_path: Path) -> None:
    committed = Path(gpu_device_plugin.wire.__path__[0])
    generate(tmp_path)
    folder = tmp_path / "gpu_device_plugin" / "wire"
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in committed.glob("*_pb2.py*"))
    assert filecmp.cmpfiles(folder, committed, names, shallow=False)[0] == names
