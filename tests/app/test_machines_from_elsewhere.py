"""`soundstage machines` from another computer: the TLS port, with the authority that stands behind it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

import real_server

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_server.RealServer]:
    folder = tmp_path_factory.mktemp("machines")
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_PROVISIONING__TLS_NAMES": "127.0.0.1",
    }
    with real_server.running_server(folder, environment) as running:
        yield running


@pytest.fixture
def authority(server: real_server.RealServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, on a computer whose settings name the server and a key."""
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", server.tls_url)
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_KEY_FILE", str(server.key_file))
    found = home / "farm-ca.pem"
    found.write_text(httpx.get(f"{server.url}/api/ca.pem", trust_env=False).raise_for_status().text)
    return found


def test_the_tls_port_is_trusted_by_the_authority_that_is_named(
    cli: Cli, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = cli("machines", "list", "--json")
    assert (alone.code, alone.json["code"]) == (1, "machines.untrusted")
    assert "soundstage machines --ca FILE" in alone.json["hint"]
    assert cli("machines", "--ca", str(authority), "list", "--json").json == []
    assert cli("runs", "--ca", authority.name, "list", "--json").json == []
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_CA_FILE", str(authority))
    assert cli("machines", "list", "--json").json == []


def test_another_authority_is_none(cli: Cli, authority: Path, home: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", "k.pem", "-out", "other.pem", "-subj", "/CN=Soundstage"],
        cwd=home, check=True, capture_output=True,
    )  # fmt: skip
    refused = cli("machines", "--ca", "other.pem", "list", "--json")
    assert refused.json["code"] == "machines.untrusted"
    for none in ("k.pem", "missing.pem"):
        broken = cli("machines", "--ca", none, "list", "--json")
        assert broken.json["code"] == "machines.ca_unreadable", none
