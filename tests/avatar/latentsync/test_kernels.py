"""The kernels of Triton compute what torch does; on the processor Triton interprets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from avatar.engines import latentsync

CASES = Path(__file__).parent / "kernel_cases.py"
# Relative to the root mean square of the result; the short numbers have 11 and 8 binary digits.
BOUNDS = {"float32": 1e-5, "float16": 1.5e-3, "bfloat16": 1.2e-2}

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("dtype", list(BOUNDS))
def test_kernels_compute_what_torch_does(device: str, dtype: str) -> None:
    pytest.importorskip("triton")
    if (device, dtype) == ("cpu", "bfloat16"):
        pytest.skip("Triton interprets no bfloat16: `make test-gpu`")
    interpreted = {"TRITON_INTERPRET": "1"} if device == "cpu" else {}
    process = subprocess.run(
        [sys.executable, str(CASES), device, dtype],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | interpreted,
    )
    assert process.returncode == 0, process.stderr
    errors = json.loads(process.stdout)
    assert set(errors) == {
        "group_norm", "add_biased", "add_layer_norm", "layer_norm", "geglu", "attend_over_frames",
    }  # fmt: skip
    assert max(errors.values()) < BOUNDS[dtype], errors


def test_a_machine_that_builds_no_kernels_computes_by_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch = pytest.importorskip("torch")
    from avatar.engines.latentsync import fused

    kernels = types.ModuleType("kernels")
    calls: list[object] = []

    def geglu(x: object) -> None:
        calls.append(x)
        raise RuntimeError("Failed to find C compiler.")

    kernels.geglu = geglu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "avatar.engines.latentsync.kernels", kernels)
    monkeypatch.setattr(latentsync, "kernels", kernels, raising=False)
    on_card = types.SimpleNamespace(is_cuda=True)
    runner = fused._Kernels()
    assert runner.run("geglu", on_card) is None
    assert runner.run("geglu", on_card) is None
    assert len(calls) == 1, "it is not tried again"
    assert "Failed to find C compiler." in caplog.text
    assert fused._Kernels().run("geglu", torch.zeros(2)) is None, "a processor has no kernels"
