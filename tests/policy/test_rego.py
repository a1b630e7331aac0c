"""The rules' own tests, run by the real OPA; they lie beside the rules as `policy/rego/*_test.rego`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGO = ROOT / "policy" / "rego"
MIN_COVERAGE = 95


@pytest.fixture(scope="module")
def opa() -> str:
    spec = importlib.util.spec_from_file_location("opa_server", Path(__file__).with_name("opa_server.py"))
    if spec is None or spec.loader is None:
        raise ImportError("opa_server")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.opa_binary())


def test_the_rules_are_strict_and_formatted(opa: str) -> None:
    subprocess.run([opa, "check", "--strict", REGO], check=True)
    listed = subprocess.run([opa, "fmt", "--list", REGO], check=True, capture_output=True, text=True)
    assert listed.stdout == ""


def test_the_rules_hold_and_every_line_of_them_is_tested(opa: str) -> None:
    subprocess.run([opa, "test", REGO], check=True)
    text = subprocess.run(
        [opa, "test", "--coverage", "--format=json", REGO], check=True, capture_output=True, text=True
    )
    assert json.loads(text.stdout)["coverage"] >= MIN_COVERAGE


def test_the_tests_notice_a_rule_that_was_loosened(opa: str, tmp_path: Path) -> None:
    for path in REGO.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    loosened = (REGO / "api_keys.rego").read_text().replace('in {"active", "superseded"}', "!= 1")
    assert loosened != (REGO / "api_keys.rego").read_text()
    (tmp_path / "api_keys.rego").write_text(loosened)
    assert subprocess.run([opa, "test", tmp_path], capture_output=True, check=False).returncode != 0
