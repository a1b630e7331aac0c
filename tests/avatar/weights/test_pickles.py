"""The content of a torch file is read without running it, and without torch."""

from pathlib import Path

import pytest
from avatar.engines.weights.pickles import TensorForm, flat_forms, read_torch_forms
from avatar.errors import InvalidInput

from .conftest import running_file, torch_file

SHAPES = {"conv.weight": (8, 4, 3, 3), "conv.bias": (8,), "count": ()}


def test_names_and_shapes_are_read(tmp_path: Path) -> None:
    held = read_torch_forms(torch_file(tmp_path / "a.pt", SHAPES, wrapped="state_dict"))
    found = dict(flat_forms(held["state_dict"]))
    assert found == {name: TensorForm(shape) for name, shape in SHAPES.items()}


def test_a_file_that_would_run_a_program_is_refused_by_the_name_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"(posix|nt)\.system") as refused:
        read_torch_forms(running_file(tmp_path / "a.pt"))
    assert refused.value.code == "weights.unsafe"


@pytest.mark.parametrize(
    "call", [b"cbuiltins\neval\n", b"ctorch\nload\n", b"cnumpy\nload\n", b"cos\nsystem\n"]
)
def test_any_other_call_is_refused_wherever_it_stands(tmp_path: Path, call: bytes) -> None:
    path = torch_file(tmp_path / "a.pt", SHAPES, extra=call + b"0")
    with pytest.raises(InvalidInput) as refused:
        read_torch_forms(path)
    assert refused.value.code == "weights.unsafe"


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "no pickle", "a bare pickle"])
def test_a_damaged_file_is_unreadable(tmp_path: Path, damage: str) -> None:
    import pickle
    import zipfile

    path = torch_file(tmp_path / "a.pt", SHAPES)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    elif damage == "a bare pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other.txt", "x")
    with pytest.raises(InvalidInput) as refused:
        read_torch_forms(path)
    assert refused.value.code == "weights.unreadable"


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_what_torch_itself_writes_is_read(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3), torch.nn.BatchNorm2d(8)).half()
    path = tmp_path / "a.pth"
    torch.save(
        {"model_state_dict": network.state_dict(), "step": 7}, path, _use_new_zipfile_serialization=not legacy
    )
    held = read_torch_forms(path)
    assert held["step"] == 7
    expected = {key: TensorForm(tuple(value.shape)) for key, value in network.state_dict().items()}
    assert dict(flat_forms(held["model_state_dict"])) == expected
