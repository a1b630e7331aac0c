"""The file of targets that Prometheus reads, from what Consul's catalogue says. The catalogue itself is asked
on machines of the lab (tests/ansible/test_monitoring.py)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rule_files import ROLE

sys.path.insert(0, str(ROLE / "files"))

import farm_targets
from farm_targets import NODES, follow, target_groups, write_targets

ENTRIES = [
    {"Node": "gpu-1", "Address": "10.0.0.21", "Meta": {}},
    {"Node": "control-1", "Address": "10.0.0.11"},
]


class Catalogue:
    """Answers as Consul's catalogue, or not at all."""

    def __init__(self, entries: list[dict[str, Any]] | None) -> None:
        self.entries = entries

    def read(self, path: str, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        if self.entries is None:
            raise OSError("connection refused")
        return (self.entries if path == NODES else self.entries[1:]), 7


def machines(folder: Path) -> dict[str, str]:
    groups = json.loads((folder / "machines.json").read_text())
    return {group["labels"]["instance"]: group["targets"][0] for group in groups}


def test_each_machine_is_a_target_with_its_name() -> None:
    assert target_groups(ENTRIES) == [
        {"targets": ["10.0.0.11"], "labels": {"instance": "control-1"}},
        {"targets": ["10.0.0.21"], "labels": {"instance": "gpu-1"}},
    ]


def test_machines_that_consul_forgets_are_watched_no_more(tmp_path: Path) -> None:
    catalogue = Catalogue(ENTRIES)
    follow(catalogue, tmp_path, once=True)  # type: ignore[arg-type]
    assert machines(tmp_path) == {"gpu-1": "10.0.0.21", "control-1": "10.0.0.11"}
    catalogue.entries = ENTRIES[1:]
    follow(catalogue, tmp_path, once=True)  # type: ignore[arg-type]
    assert machines(tmp_path) == {"control-1": "10.0.0.11"}


def test_while_consul_does_not_answer_what_was_watched_is_watched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(farm_targets, "PAUSE_S", 0)
    follow(Catalogue(ENTRIES), tmp_path, once=True)  # type: ignore[arg-type]
    before = (tmp_path / "machines.json").read_text()
    follow(Catalogue(None), tmp_path, once=True)  # type: ignore[arg-type]
    assert (tmp_path / "machines.json").read_text() == before
    assert "targets.consul_unreachable: connection refused" in capsys.readouterr().err


def test_a_file_that_is_as_it_should_be_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "machines.json"
    assert write_targets(file, target_groups(ENTRIES))
    stamp = file.stat().st_mtime_ns
    assert not write_targets(file, target_groups(ENTRIES))
    assert file.stat().st_mtime_ns == stamp
