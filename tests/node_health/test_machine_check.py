"""The checks of every machine. Services and timers need systemd: they are tested in the lab."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine_check
import pytest
from sentences import SentenceSnapshot

NOTHING: dict[str, Any] = {
    "services": [],
    "timers": [],
    "disks": [],
    "clock": {},
    "certificates": {"files": [], "days": 14},
    "secrets": [],
    "closed_ports": [],
    "metrics_file": "/nowhere/certificates.prom",
}


def findings(folder: Path, **expected: Any) -> list[dict[str, str]]:
    """Returns the findings of the program for these expectations."""
    config = folder / "machine_check.json"
    config.write_text(json.dumps({**NOTHING, **expected}))
    command = [sys.executable, "-I", machine_check.__file__, config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def codes(problems: list[dict[str, str]]) -> list[str]:
    return [problem["code"] for problem in problems]


def certificate(folder: Path, days: int) -> Path:
    file = folder / f"{days}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += [
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(file),
        "-days",
        str(days),
        "-subj",
        "/CN=test",
    ]
    subprocess.run(command, capture_output=True, check=True)
    return file


def test_a_machine_of_which_nothing_is_expected_has_no_problem(tmp_path: Path) -> None:
    assert findings(tmp_path) == []


def test_a_disk_with_room_is_well_and_one_without_is_full(tmp_path: Path) -> None:
    assert findings(tmp_path, disks=[{"path": str(tmp_path), "free_mib": 1}]) == []
    (problem,) = findings(tmp_path, disks=[{"path": str(tmp_path), "free_mib": 10**9}])
    assert problem["code"] == "machine.disk_full"
    assert f"The disk of {tmp_path} has" in problem["message"]


def test_two_folders_of_one_disk_are_one_problem_and_a_missing_folder_is_none(tmp_path: Path) -> None:
    expected = [{"path": str(path), "free_mib": 10**9} for path in (tmp_path, tmp_path.parent, "/nowhere")]
    assert codes(findings(tmp_path, disks=expected)) == ["machine.disk_full"]


@pytest.mark.parametrize(("days", "expected"), [(400, []), (3, ["machine.certificate_ends"])])
def test_a_certificate_that_ends_soon_is_named_with_its_end(
    tmp_path: Path, days: int, expected: list[str]
) -> None:
    file = certificate(tmp_path, days)
    problems = findings(tmp_path, certificates={"files": [str(file)], "days": 14})
    assert codes(problems) == expected
    assert all(" ends on " in problem["message"] for problem in problems)


def test_a_certificate_that_is_gone_or_is_none_is_named(tmp_path: Path, snapshot: SentenceSnapshot) -> None:
    (tmp_path / "rubbish.pem").write_text("rubbish")
    files = [str(tmp_path / "gone.pem"), str(tmp_path / "rubbish.pem")]
    problems = findings(tmp_path, certificates={"files": files, "days": 14})
    assert codes(problems) == ["machine.certificate_missing", "machine.certificate_ends"]
    assert problems[1]["message"] == snapshot("no_certificate", file=files[1])


@pytest.mark.parametrize(("mode", "expected"), [(0o640, []), (0o644, ["machine.secret_open"])])
def test_a_secret_that_all_may_read_is_open(tmp_path: Path, mode: int, expected: list[str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    secret.chmod(mode)
    problems = findings(tmp_path, secrets=[str(secret), str(tmp_path / "gone")])
    assert codes(problems) == expected
    assert "do not tell" not in json.dumps(problems)


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", []), ("0.0.0.0", ["machine.port_open"])])  # noqa: S104
def test_a_port_that_listens_to_the_outside_is_open(tmp_path: Path, host: str, expected: list[str]) -> None:
    with socket.create_server((host, 0)) as server:
        assert codes(findings(tmp_path, closed_ports=[server.getsockname()[1]])) == expected


def test_the_end_of_each_certificate_is_written_for_node_exporter(tmp_path: Path) -> None:
    files = [str(certificate(tmp_path, days)) for days in (3, 200)]
    metrics = tmp_path / "certificates.prom"
    expected = {"files": [*files, str(tmp_path / "missing.pem")], "days": 1}
    findings(tmp_path, certificates=expected, metrics_file=str(metrics))
    ends = re.findall(
        r'^soundstage_node_certificate_expires_\w+{path="(.+)"} (\d+)$', metrics.read_text(), re.M
    )
    assert [path for path, _ in ends] == files
    assert [round((int(end) - time.time()) / 86400) for _, end in ends] == [3, 200]


def test_the_check_of_another_role_writes_no_metrics(tmp_path: Path) -> None:
    """Role docker runs this program with expectations of its own."""
    config = tmp_path / "docker_check.json"
    config.write_text(json.dumps({name: value for name, value in NOTHING.items() if name != "metrics_file"}))
    command = [sys.executable, "-I", machine_check.__file__, config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")
