"""A rotation of secrets that is cut off before any of its writes or calls is completed by the next run."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import waiting
from cryptography import x509
from farm_in_lab import ROOT
from ports import free_port

sys.path.append(str(ROOT / "ansible/collections"))

from ansible_collections.soundstage.farm.plugins.module_utils import engine_api
from ansible_collections.soundstage.farm.plugins.module_utils.farm_authority import FarmAuthority, Subject
from ansible_collections.soundstage.farm.plugins.module_utils.secret_rotation import STEPS, SecretRotation
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.module_utils.ssh_authority import SshAuthority

NOW = datetime.datetime.now(datetime.UTC)


class Cut(BaseException):
    """Ends a run as kill -9 does: nothing of ours handles it."""


class Scissors:
    """Counts writes, removals and changing calls, and raises Cut before the one with number `at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = -1
        self._number = 0
        for owner, name in (
            (SecretStore, "write"),
            (SecretStore, "remove"),
            (engine_api.EngineApi, "_answer"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if "GET" not in arguments:
                if self._number == self.at:
                    raise Cut
                self._number += 1
            return function(*arguments, **options)

        return call

    def cuts(self, run: Callable[[], None], at: int) -> bool:
        """Returns whether `run` was cut off; False when it has fewer operations than `at`."""
        self.at, self._number = at, 0
        try:
            run()
        except Cut:
            return True
        finally:
            self.at = -1
        return False


@pytest.fixture
def scissors(monkeypatch: pytest.MonkeyPatch) -> Scissors:
    return Scissors(monkeypatch)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    store = SecretStore(tmp_path / "secrets")
    with store.lock():
        FarmAuthority(store, NOW).ensure("farm")
        for name in ("host_ca", "user_ca"):
            SshAuthority(store, name, NOW).ensure("farm")
    return store.folder


def rotate(folder: Path, what: str, *steps: str, **engines: Any) -> None:
    store = SecretStore.open(folder)
    connect = {"consul": pytest.fail, "nomad": pytest.fail, **engines}
    for step in steps:
        with store.lock():
            SecretRotation(store, "farm", **connect).run(step, [what])


def authorities_in(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / "tls/ca.pem").read_bytes())


def test_a_revoked_certificate_stays_revoked_while_the_authority_is_replaced(secrets: Path) -> None:
    def verifies(certificate: Path) -> bool:
        words = ["openssl", "verify", "-crl_check", "-CRLfile", secrets / "tls/crl.pem"]
        done = subprocess.run(
            [*words, "-CAfile", secrets / "tls/ca.pem", certificate], capture_output=True, text=True
        )
        return done.returncode == 0

    store = SecretStore.open(secrets)

    def revoke(*retired: str) -> None:
        with store.lock():
            FarmAuthority(store, NOW).revoke(retired)

    stolen = secrets.parent / "gone.pem"
    with store.lock():
        for name in ("gone", "here"):
            FarmAuthority(store, NOW).issue(name, Subject(name), 30)
    stolen.write_bytes(store.read("tls/gone.pem"))
    revoke("gone")
    here = store.path("tls/here.pem")
    for step in STEPS:
        assert verifies(here) and not verifies(stolen), step
        rotate(secrets, "authority", step)
        revoke()
        if step == "switch":
            with store.lock():
                FarmAuthority(store, NOW).issue("new", Subject("new"), 30)
    assert verifies(store.path("tls/new.pem")) and not verifies(stolen)
    assert store.read("tls/crl.pem").count(b"BEGIN X509 CRL") == 1
    rotate(secrets, "certificates", "switch")
    assert store.has("tls/crl.pem") and not store.has("tls/new.pem")


def test_an_authority_is_replaced_though_the_rotation_is_cut_off_anywhere(
    secrets: Path, tmp_path: Path, scissors: Scissors
) -> None:
    (old,) = authorities_in(secrets)
    at = 0
    while True:
        folder = tmp_path / f"cut-{at}"
        shutil.copytree(secrets, folder)
        cut = scissors.cuts(lambda folder=folder: rotate(folder, "authority", *STEPS), at)
        # The next run reads a pair that fits, and machines that have only the old certificate stay trusted.
        store = SecretStore.open(folder)
        assert FarmAuthority(store, NOW).current_only()
        ended = authorities_in(folder)[0] != old and not store.has("tls/next/ca.pem")
        assert ended or old in authorities_in(folder)
        rotate(folder, "authority", "begin")
        assert ended or old in authorities_in(folder)
        rotate(folder, "authority", "switch", "finish")
        assert FarmAuthority(store, NOW).current_only() and len(authorities_in(folder)) == 1
        assert authorities_in(folder) != [old] and not list((folder / "tls/next").iterdir())
        if not cut:
            break
        at += 1
    assert at > 8


def test_ssh_authorities_are_replaced_though_the_rotation_is_cut_off_anywhere(
    secrets: Path, tmp_path: Path, scissors: Scissors
) -> None:
    old = (secrets / "ssh/host_ca.pub").read_text()
    at = 0
    while True:
        folder = tmp_path / f"cut-{at}"
        shutil.copytree(secrets, folder)
        cut = scissors.cuts(lambda folder=folder: rotate(folder, "ssh", *STEPS), at)
        for steps in ((), ("begin",), ("switch",), ("finish",)):
            rotate(folder, "ssh", *steps)
            for name in ("host_ca", "user_ca"):
                derived = subprocess.run(
                    ["ssh-keygen", "-y", "-f", folder / "ssh" / name],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                assert derived.stdout.split()[1] == (folder / f"ssh/{name}.pub").read_text().split()[1]
        assert (folder / "ssh/host_ca.pub").read_text() != old
        assert not list((folder / "ssh/next").iterdir())
        if not cut:
            break
        at += 1
    assert at > 15


@dataclass(frozen=True, slots=True)
class Server:
    """A server of Consul or Nomad with access control, and how to connect to it."""

    engine: engine_api.Engine
    store: SecretStore
    port: int

    def connect(self) -> engine_api.EngineApi:
        return engine_api.management_api(self.engine, self.store, "127.0.0.1", self.port)

    def management_tokens(self) -> list[str]:
        """Returns the ids of all tokens that may do everything."""
        return [
            token["AccessorID"]
            for token in self.connect().get("/v1/acl/tokens")
            if token.get("Type") == "management"
            or "global-management" in {policy["Name"] for policy in token.get("Policies") or ()}
        ]


FIRST = "5a0c8f0e-6d1b-4b7e-9b7e-2f6b1c1f0001"


def consul_settings(folder: Path, port: int) -> dict[str, Any]:
    ports = dict.fromkeys(("http", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
    return {
        "server": True,
        "bootstrap_expect": 1,
        "bind_addr": "127.0.0.1",
        "data_dir": str(folder / "consul-data"),
        "ports": {**ports, "https": port, "server": free_port(), "serf_lan": free_port()},
        "acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": FIRST}},
        "tls": {"defaults": _certificates(folder, "ca_file", "cert_file", "key_file")},
    }


def nomad_settings(folder: Path, port: int) -> dict[str, Any]:
    return {
        "server": {"enabled": True, "bootstrap_expect": 1},
        "bind_addr": "127.0.0.1",
        "advertise": dict.fromkeys(("http", "rpc", "serf"), "127.0.0.1"),
        "data_dir": str(folder / "nomad-data"),
        "ports": {"http": port, "rpc": free_port(), "serf": free_port()},
        "acl": {"enabled": True},
        "consul": {"client_auto_join": False, "server_auto_join": False, "auto_advertise": False},
        "tls": {"http": True, "rpc": True, **_certificates(folder, "ca_file", "cert_file", "key_file")},
    }


def _certificates(folder: Path, *names: str) -> dict[str, str]:
    files = ("ca.pem", "operator.pem", "operator-key.pem")
    return {name: str(folder / "secrets/tls" / file) for name, file in zip(names, files, strict=True)}


@pytest.fixture(params=["consul", "nomad"])
def server(request: pytest.FixtureRequest, engines: dict[str, Path], secrets: Path) -> Iterator[Server]:
    name, folder, store = request.param, secrets.parent, SecretStore(secrets)
    names = ("localhost", "server.global.nomad")
    FarmAuthority(store, NOW).issue("operator", Subject("operator", names, ("127.0.0.1",)), 1)
    store.write(f"{name}/management.token", f"{FIRST}\n".encode())
    settings, engine = {
        "consul": (consul_settings, engine_api.CONSUL),
        "nomad": (nomad_settings, engine_api.NOMAD),
    }[name]
    port = free_port()
    (folder / "agent.json").write_text(json.dumps(settings(folder, port)))
    option = "-config-file" if name == "consul" else "-config"
    log = (folder / "agent.log").open("w")
    process = subprocess.Popen(
        [engines[name], "agent", option, folder / "agent.json"], stdout=log, stderr=subprocess.STDOUT
    )
    try:
        server = Server(engine, store, port)
        anonymous = engine_api.EngineApi("127.0.0.1", port, store, {})
        waiting.eventually(lambda: _has_leader(anonymous), f"a leader: {folder / 'agent.log'}")
        if name == "nomad":
            waiting.eventually(lambda: _bootstraps(anonymous), "the first management token")
        waiting.eventually(
            lambda: server.connect().knows_its_token(), "the first management token to be known"
        )
        yield server
    finally:
        process.kill()
        process.wait()
        log.close()


def _has_leader(api: engine_api.EngineApi) -> bool:
    try:
        return bool(api.get("/v1/status/leader"))
    except engine_api.EngineError:
        return False


def _bootstraps(api: engine_api.EngineApi) -> bool:
    try:
        return bool(api.post("/v1/acl/bootstrap", {"BootstrapSecret": FIRST}))
    except engine_api.EngineError:
        return False


def test_a_management_token_is_replaced_once_though_the_rotation_is_cut_off_anywhere(
    server: Server, scissors: Scissors, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other engine is not there: each is rotated for itself.
    renew = SecretRotation._renew_management_token
    monkeypatch.setattr(
        SecretRotation,
        "_renew_management_token",
        lambda self, engine, connect: renew(self, engine, connect) if engine == server.engine else None,
    )
    engines = {"consul": server.connect, "nomad": server.connect}
    at = 0
    while True:
        before = server.management_tokens()
        cut = scissors.cuts(lambda: rotate(server.store.folder, "management", "finish", **engines), at)
        assert server.connect().knows_its_token()
        if not cut:
            break
        rotate(server.store.folder, "management", "finish", **engines)
        (only,) = server.management_tokens()
        assert [only] != before and server.connect().knows_its_token()
        at += 1
    assert at >= 5
