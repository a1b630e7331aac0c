"""`avatar models`: what people and the control plane see."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import avatar.cli.main as command
import pytest
from avatar.engines.weights.manifest import manifest, weight_file
from avatar.errors import InvalidInput
from sentences import SentenceSnapshot

from .conftest import running_file, torch_file

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def models(tmp_path: Path) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        action, *rest = map(str, arguments)
        command = [
            sys.executable,
            "-m",
            "avatar.cli",
            "models",
            action,
            "--models",
            str(tmp_path / "m"),
            *rest,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_add_list_verify_where(models: Run, weights_folder: Path, tmp_path: Path) -> None:
    source = torch_file(
        weights_folder / "tiny.pt", weight_file("latentsync.whisper").tensors, wrapped="model_state_dict"
    )
    added = models("add", source)
    assert added.returncode == 0 and "latentsync.whisper" in added.stdout and "MIT" in added.stdout
    listed = json.loads(models("list", "--json").stdout)
    states = {one["role"]: one["state"] for one in listed["files"]}
    assert states["latentsync.whisper"] == "there" and states["latentsync.unet"] == "missing"
    assert all(one["licence"] and one["source"] for one in listed["files"])
    assert models("verify").returncode == 0
    assert models("verify", "latentsync.unet").returncode == 1
    assert models("where", "latentsync.whisper").stdout.strip() == str(
        tmp_path / "m" / "latentsync/whisper/tiny.pt"
    )
    (tmp_path / "m" / "latentsync/whisper/tiny.pt").write_bytes(b"PK other")
    spoilt = models("verify", "--json")
    assert spoilt.returncode == 1 and json.loads(spoilt.stdout)["files"][0]["state"] == "wrong"


def test_the_list_for_people_shows_licences_and_sources(
    models: Run, tmp_path: Path, snapshot: SentenceSnapshot
) -> None:
    output = models("list").stdout
    assert (
        "non-commercial research only" in output and "https://huggingface.co/KwaiVGI/LivePortrait" in output
    )
    assert models("verify").stdout.strip() == snapshot("no_weights", folder=tmp_path / "m")


def test_the_list_tells_the_size_of_each_or_that_it_is_unknown(models: Run, weights_folder: Path) -> None:
    models("add", torch_file(weights_folder / "tiny.pt", weight_file("latentsync.whisper").tensors))
    lines = models("list").stdout.splitlines()
    sizes = {entry.role: next(line for line in lines if f" {entry.role} " in line) for entry in manifest()}
    assert sizes["latentsync.unet"].endswith("latentsync_unet.pt  about 4836 MiB")
    assert sizes["latentsync.whisper"].endswith("tiny.pt  0 MiB"), "what lies there is measured"
    assert sizes["insightface.detector"].endswith("det_10g.onnx  about 16 MiB (optional)")
    assert all(" MiB" in line or "size unknown" in line for line in sizes.values())


def test_a_refusal_is_one_line_with_its_code(models: Run, weights_folder: Path) -> None:
    refused = models("add", running_file(weights_folder / "tiny.pt"), "--json")
    assert refused.returncode == 1
    line = json.loads(refused.stdout)
    assert line["code"] == "weights.unsafe" and "tiny.pt" in line["message"] and line["hint"]


@pytest.mark.parametrize("form", ["json", "plain"])
def test_every_tensor_that_differs_is_told_on_standard_error(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of progress stays short: programs read it."""

    def refuse(*_: object) -> int:
        details = [f"missing: layer{n}.weight" for n in range(40)]
        raise InvalidInput("weights.mismatch", "40 missing: layer0.weight, …", "Fetch it again.", details)

    monkeypatch.setattr(command, "_run", refuse)
    assert command.main(["models", "verify", *(["--json"] if form == "json" else [])]) == 1
    output = capsys.readouterr()
    assert all(f"missing: layer{n}.weight\n" in output.err for n in range(40))
    assert "layer39" not in output.out
