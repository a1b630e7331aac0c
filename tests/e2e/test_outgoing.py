"""Whoever may make webhooks makes this server call neither itself nor its other process, by any way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from nginx_server import INSTALL, PROGRAM, reverse_proxy
from ready import told_until_ready

PATIENCE_S = 240


class Studio:
    """`up` on free ports, whose webhooks may lead to this machine; `tenant` may make webhooks."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.admin = self._client(told["key"])
        made = self.admin.post(
            "/api/keys",
            json={"name": "tenant", "role": "admin", "scopes": ["webhook:*", "key:read"], "tenant": "tenant"},
        )
        self.tenant = self._client(made.raise_for_status().json()["key"])

    def _client(self, key: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.told["url"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def delivered(self, url: str) -> dict[str, Any]:
        """The first try of a test message to a webhook at `url`."""
        webhook = self.tenant.post("/api/webhooks", json={"url": url}).raise_for_status().json()
        sent = self.tenant.post(f"/api/webhooks/{webhook['id']}/test").raise_for_status().json()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = self.tenant.get(f"/api/webhooks/{webhook['id']}/deliveries/{sent['id']}").json()
            if found["log"]:
                return dict(found["log"][0])
            time.sleep(0.05)
        raise AssertionError("it was not tried")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, installation: Any) -> Iterator[Studio]:
    home = installation(tmp_path_factory.mktemp("outgoing"))
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_WEBHOOKS__LOOPBACK="true",
        SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]',
        SOUNDSTAGE_LOG__LEVEL="error",
    )
    yield Studio(told_until_ready(process, home.log))
    process.terminate()
    process.wait(60)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0"])
@pytest.mark.parametrize("listener", ["url", "provisioning_url", "provisioning_tls_url"])
def test_a_webhook_to_any_listener_of_ours_is_refused(studio: Studio, listener: str, host: str) -> None:
    there = urlsplit(studio.told[listener])
    url = f"{there.scheme}://{host}:{there.port}/api/keys/first/rotate"
    answer = studio.tenant.post("/api/webhooks", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (403, "outgoing.own_listener")
    assert studio.tenant.get("/api/webhooks").json() == []


def keys_of(studio: Studio) -> list[dict[str, Any]]:
    """Returns all keys, without when they were last used: that is noted each minute."""
    return [{**key, "last_used_at": None} for key in studio.admin.get("/api/keys").json()]


def test_a_webhook_to_a_proxy_in_front_of_us_gets_nothing_done_and_shows_nothing(
    studio: Studio, tmp_path: Path
) -> None:
    """nginx is a server of this machine like any other; what it passes on is known by our own header."""
    if not PROGRAM.exists():
        pytest.skip(INSTALL)
    keys = keys_of(studio)
    for listener in ("url", "provisioning_url"):
        with reverse_proxy(tmp_path, studio.told[listener]) as proxy:
            assert httpx.get(f"{proxy}/api/health", trust_env=False).status_code == 200
            tried = studio.delivered(f"{proxy}/api/keys/{keys[0]['id']}/rotate")
        assert (tried["status"], tried["answer"]) == (508, "")
    assert keys_of(studio) == keys


def test_metadata_and_private_networks_stay_closed_where_loopback_is_open(studio: Studio) -> None:
    for url in ("https://169.254.169.254/latest/meta-data", "https://10.1.2.3/", "https://[fd00:ec2::254]/"):
        answer = studio.tenant.post("/api/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "outgoing.address_refused")
