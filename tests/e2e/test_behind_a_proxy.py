"""What comes through a reverse proxy or a webhook comes from this machine, and is nobody for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from ready import told_until_ready

WAIT_S = 120
NGINX = shutil.which("nginx")
FORWARDING = """
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""
# Each hides what it forwards a little better.
PROXIES = {
    "telling": FORWARDING,
    "as shipped": "",
    "http/1.1 to localhost": "proxy_http_version 1.1; proxy_set_header Host localhost;",
    "every trace removed": (
        'proxy_http_version 1.1; proxy_set_header Host 127.0.0.1; proxy_set_header X-Forwarded-For "";'
        'proxy_set_header Origin ""; proxy_set_header Sec-Fetch-Site ""; proxy_set_header Via "";'
    ),
}
GUARDED = ("/api/me", "/api/keys", "/api/renders", "/api/status", "/metrics")


@dataclass(frozen=True)
class Front:
    """A server, and nginx before it once for each way to forward."""

    url: str
    provisioning_url: str
    key: str
    proxies: dict[str, str]

    def ask(self, base: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        return httpx.request(method, base + path, timeout=WAIT_S, trust_env=False, **more)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, installation: Any) -> Iterator[Front]:
    if NGINX is None:
        pytest.skip("needs nginx: apt-get install --no-install-recommends nginx, then make test")
    home = installation(tmp_path_factory.mktemp("front"))
    process = home.start("up", "--json", SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]')
    told = told_until_ready(process, home.log)
    folder = tmp_path_factory.mktemp("nginx")
    servers, proxies = [], {}
    for name, headers in PROXIES.items():
        proxies[name] = f"http://127.0.0.1:{(port := free_port())}"
        servers.append(
            f"server {{ listen 127.0.0.1:{port}; "
            f"location / {{ proxy_pass {told['url']}; {headers} }} "
            f"location /provisioning/ {{ proxy_pass {told['provisioning_url']}/; {headers} }} }}"
        )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log; events {{}} http {{ access_log {folder}/access.log;\n"
        + "\n".join([*(f"{kind}_temp_path {folder}/{kind};" for kind in kinds), *servers])
        + "\n}\n"
    )
    nginx = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        wait_for_port(proxies["as shipped"], nginx, folder / "error.log")
        yield Front(told["url"], told["provisioning_url"], told["key"], proxies)
    finally:
        nginx.terminate()
        nginx.wait(60)
        process.terminate()
        process.wait(60)


def wait_for_port(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            httpx.get(url, timeout=WAIT_S, trust_env=False)
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("host", ["studio.example", "127.0.0.1:8000", "localhost"])
def test_nobody_is_known_through_a_proxy_without_a_key(front: Front, proxy: str, host: str) -> None:
    base = front.proxies[proxy]
    for path in GUARDED:
        answer = front.ask(base, path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.required"), path
    answer = front.ask(base, "/mcp", "POST", json={}, headers={"Host": host})
    assert answer.status_code == 401
    answer = front.ask(base, "/api/keys", "POST", json={"name": "x", "role": "admin"}, headers={"Host": host})
    assert answer.status_code == 401
    for path in ("/api/machines", "/api/keys", "/api/runs"):
        answer = front.ask(base, f"/provisioning{path}", headers={"Host": host})
        assert answer.status_code == 401, path


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_key_and_a_login_work_through_a_proxy(front: Front, proxy: str) -> None:
    base, headers = front.proxies[proxy], {"Authorization": f"Bearer {front.key}"}
    assert front.ask(base, "/api/me", headers=headers).json()["role"] == "admin"
    link = front.ask(front.url, "/api/login/links", "POST", headers=headers).json()["token"]
    with httpx.Client(base_url=base, timeout=WAIT_S, trust_env=False) as page:
        assert page.post("/api/login/start", json={"token": link}).status_code == 200
        assert page.get("/api/me").json()["kind"] == "session"
    again = front.ask(base, "/api/login/start", "POST", json={"token": link})
    assert again.json()["code"] == "login.link_used"


def test_a_webhook_of_a_tenant_rotates_nobodys_key(front: Front) -> None:
    admin = {"Authorization": f"Bearer {front.key}"}
    wish = {"name": "acme", "role": "admin", "tenant": "acme", "scopes": ["webhook:*", "key:read"]}
    made = front.ask(front.url, "/api/keys", "POST", json=wish, headers=admin).json()
    tenant = {"Authorization": f"Bearer {made['key']}"}
    target = front.ask(front.url, "/api/me", headers=admin).json()["id"]
    before = keys(front, admin)
    for base in (front.url, front.provisioning_url, *front.proxies.values()):
        for path in (f"/api/keys/{target}/rotate", "/api/keys", "/api/login/links"):
            draft = {"url": base + path, "kinds": ["render.done"]}
            hook = front.ask(front.url, "/api/webhooks", "POST", json=draft, headers=tenant)
            if hook.status_code != 201:
                continue  # the address itself is refused
            path = f"/api/webhooks/{hook.json()['id']}"
            sent = front.ask(front.url, f"{path}/test", "POST", headers=tenant)
            if sent.status_code != 202:
                continue
            told = ended(front, f"{path}/deliveries/{sent.json()['id']}", tenant)
            assert '"key"' not in str(told) and '"token"' not in str(told), told
    assert keys(front, admin) == before


def keys(front: Front, headers: dict[str, str]) -> list[tuple[str, str, str | None]]:
    found = front.ask(front.url, "/api/keys", headers=headers).json()
    return [(one["id"], one["state"], one["replaced_by"]) for one in found]


def ended(front: Front, path: str, headers: dict[str, str]) -> Any:
    """The delivery once it was tried."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = front.ask(front.url, path, headers=headers).json()
        if found["tries"]:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
