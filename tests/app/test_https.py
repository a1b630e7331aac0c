"""`soundstage up --tls`: others reach the studio by https under its name, trusting its authority alone."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ready import told_until_ready

from app.server.https import certificate_names
from app.server.listening import plain_http_warning
from soundstage.settings import Settings

PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 120.0
NAME = "studio.example"
EVERYWHERE = "0.0.0.0"  # noqa: S104


@dataclass(frozen=True)
class Up:
    folder: Path
    ready: dict[str, Any]

    @property
    def https_port(self) -> int:
        return int(self.ready["https_url"].rpartition(":")[2])

    def get(self, path: str, *, name: str = NAME, ca: str | None = None, **options: Any) -> httpx.Response:
        """GET by a name that leads to this machine, as a browser elsewhere would."""
        context = ssl.create_default_context(cadata=ca or Path(self.ready["ca_file"]).read_text())
        if maximum := options.pop("maximum_version", None):
            context.maximum_version = maximum
        with httpx.Client(verify=context, timeout=PATIENCE_S, trust_env=False) as client:
            request = client.build_request(
                options.pop("method", "GET"),
                f"https://127.0.0.1:{self.https_port}{path}",
                headers={"Host": f"{name}:{self.https_port}"},
                extensions={"sni_hostname": name, "timeout": {"read": PATIENCE_S}},
                **options,
            )
            return client.send(request)


@contextmanager
def up(folder: Path, **variables: str) -> Iterator[Up]:
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen(
            [PROGRAM, "up", "--tls", "--json"],
            cwd=folder,
            env={
                **os.environ,
                "SOUNDSTAGE_HTTP__PORT": "0",
                "SOUNDSTAGE_HTTP__TLS_HOST": "127.0.0.1",
                "SOUNDSTAGE_PROVISIONING__ENABLED": "false",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Up(folder, told_until_ready(process, folder / "server.log"))
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def client_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("secured")
    with up(folder, SOUNDSTAGE_HTTP__TLS_NAMES=NAME) as running:
        yield running


def test_a_browser_that_trusts_the_authority_logs_in_under_the_studios_name(client_of: Up) -> None:
    answer = client_of.get("/api/login", method="POST", json={"key": client_of.ready["key"]})
    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert client_of.ready["https_url"] == f"https://{NAME}:{client_of.https_port}"


def test_the_authority_can_be_fetched_and_compared_and_its_key_is_its_owners_alone(client_of: Up) -> None:
    file = Path(client_of.ready["ca_file"])
    served = httpx.get(f"{client_of.ready['url']}/api/ca.pem", timeout=PATIENCE_S, trust_env=False)
    assert served.text == file.read_text()
    digest = ssl.PEM_cert_to_DER_cert(served.text)
    shown = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-noout", "-fingerprint", "-sha256"],
        input=digest, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    assert shown.strip().rpartition("=")[2] == client_of.ready["ca_sha256"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == dict.fromkeys(("ca.key", "ca.pem", "server.key", "server.pem"), 0o600)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_nobody_elses_name_and_no_old_tls_gets_through(client_of: Up) -> None:
    with pytest.raises(httpx.ConnectError, match=r"doesn't match|not valid for"):
        client_of.get("/api/health", name="other.example")
    with pytest.raises(httpx.ConnectError):
        client_of.get("/api/health", maximum_version=ssl.TLSVersion.TLSv1_2)


def test_the_page_over_plain_http_leads_to_https_but_not_on_this_machine(client_of: Up) -> None:
    with httpx.Client(base_url=client_of.ready["url"], timeout=PATIENCE_S, trust_env=False) as plain:
        there = plain.get("/", headers={"Host": NAME})
        assert there.headers.get("location") == f"https://{NAME}:{client_of.https_port}/"
        assert "location" not in plain.get("/").headers


@pytest.mark.slow
def test_new_names_are_in_the_certificate_after_a_restart_and_the_authority_stays(tmp_path: Path) -> None:
    with up(tmp_path, SOUNDSTAGE_HTTP__TLS_NAMES="old.example") as first:
        ca = Path(first.ready["ca_file"]).read_text()
        assert first.get("/api/health", name="old.example").is_success
    with up(tmp_path, SOUNDSTAGE_HTTP__TLS_NAMES="new.example") as second:
        assert second.get("/api/health", name="new.example", ca=ca).is_success
        with pytest.raises(httpx.ConnectError):
            second.get("/api/health", name="old.example", ca=ca)


def test_a_certificate_names_what_the_settings_name_and_this_machine() -> None:
    http = {"tls_names": "studio.example,10.1.2.3", "tls_host": EVERYWHERE, "public_url": "https://p.example"}
    names = certificate_names(Settings(http=http))
    assert names[:3] == ["studio.example", "10.1.2.3", "p.example"]
    assert {os.uname().nodename, "localhost", "127.0.0.1", "::1"} <= set(names)
    assert EVERYWHERE not in names


@pytest.mark.parametrize(
    ("http", "warns"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "127.0.0.1", "tls": "self"}, False),
        ({"host": EVERYWHERE}, True),
        ({"host": EVERYWHERE, "tls": "self"}, True),
        ({"host": "10.0.0.5", "public_url": "http://studio.example"}, True),
        ({"host": "10.0.0.5", "public_url": "https://studio.example"}, False),
    ],
)
def test_plain_http_for_others_is_warned_of(http: dict[str, str], warns: bool) -> None:
    assert bool(plain_http_warning(Settings(http=http))) is warns


def test_the_doctor_says_what_plain_http_means_and_what_to_do(
    cli: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSTAGE_HTTP__HOST", EVERYWHERE)
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", "/bin/false")
    checks = {one["name"]: one for one in cli("doctor", "--json").json["checks"]}
    assert checks["https"]["level"] == "amber"
    assert "everybody on the way can read" in checks["https"]["found"]
    assert "soundstage up --tls" in checks["https"]["fix"]
