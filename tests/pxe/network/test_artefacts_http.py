"""nginx before the real provisioning API: it hands out what was published and iPXE's programs, and nothing
else.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "provisioning_api"))

import real_server
from boot_network import BootNetwork, Mode, lay_out_tftp, nginx_site

PROGRAM = "/usr/sbin/nginx"
IMAGE = os.urandom(3 << 20)


@dataclass
class Front:
    url: str
    api: str
    artefacts: Path
    headers: dict[str, str]

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        return httpx.request(method, self.url + path, headers=headers, timeout=120, trust_env=False)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if not Path(PROGRAM).exists() or not Path("/usr/lib/ipxe/snponly.efi").exists():
        pytest.skip("run: apt-get install --no-install-recommends nginx ipxe")
    tmp_path = tmp_path_factory.mktemp("front")
    artefacts, tftp = tmp_path / "artefacts", tmp_path / "tftp"
    artefacts.mkdir()
    lay_out_tftp(tftp)
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "warning",
        "SOUNDSTAGE_PROVISIONING__ARTEFACT_DIR": str(artefacts),
    }
    with real_server.running_server(tmp_path, environment) as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        plan = BootNetwork(
            interface="lo",
            address=IPv4Address("127.0.0.1"),
            network=IPv4Network("127.0.0.0/8"),
            mode=Mode.PROXY,
            http_port=port,
            tftp_folder=PurePosixPath(tftp),
            artefact_folder=PurePosixPath(artefacts),
            api_url=server.url,
        )
        process = start_nginx(tmp_path, nginx_site(plan))
        try:
            created = Front(f"http://127.0.0.1:{port}", server.url, artefacts, server.headers)
            publish(created)
            yield created
        finally:
            process.terminate()
            process.wait(60)


def start_nginx(folder: Path, site: str) -> subprocess.Popen[bytes]:
    """The site in an nginx of its own, whose files are all below `folder`."""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Not as www-data, who may not come near the folders of tests.
    user = "user root;" if os.geteuid() == 0 else ""
    site = site.replace("/var/log/nginx/", f"{folder}/")
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}} http {{ {temporary}\n{site} }}\n"
    )
    process = subprocess.Popen([PROGRAM, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    deadline = time.monotonic() + 120
    while not (folder / "nginx.pid").exists():
        assert process.poll() is None and time.monotonic() < deadline, (folder / "error.log").read_text()
        time.sleep(0.02)
    return process


def publish(front: Front) -> None:
    (front.artefacts / "root.img.zst").write_bytes(IMAGE)
    (front.artefacts / "secret.txt").write_text("not published")
    (front.artefacts / "secret.txt").rename(front.artefacts / ".secret.txt")
    httpx.post(
        f"{front.api}/api/artefacts/publish", headers=front.headers, timeout=120, trust_env=False
    ).raise_for_status()
    (front.artefacts / "later.img").write_text("came after the manifest was signed")
    (front.artefacts / "link.img").symlink_to("/etc/passwd")


def test_what_was_published_comes_whole_and_in_ranges(front: Front) -> None:
    assert front.get("/boot/artefacts/root.img.zst").content == IMAGE
    part = front.get("/boot/artefacts/root.img.zst", Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, IMAGE[1000:2000])
    last = front.get("/boot/artefacts/root.img.zst", Range="bytes=-7")
    assert last.content == IMAGE[-7:]
    manifest = json.loads(front.get("/boot/manifest.json").content)
    assert [one["name"] for one in manifest["artefacts"]] == ["root.img.zst"]


@pytest.mark.parametrize(
    "path",
    [
        "/boot/artefacts/later.img",
        "/boot/artefacts/link.img",
        "/boot/artefacts/.secret.txt",
        "/boot/artefacts/",
        "/boot/artefacts/../state/provisioning/keys/manifest.key",
        "/boot/artefacts/..%2f..%2fetc%2fpasswd",
        "/boot/artefacts/root.img.zst%00.txt",
        "/boot/firmware/",
        "/boot/firmware/..%2fartefacts%2flater.img",
        "/boot/firmware/passwd",
        "/published",
        "/",
        "/api/machines",
        "/boot/../api/machines",
        "/boot/%2e%2e/api/machines",
    ],
)
def test_nothing_else_comes(front: Front, path: str) -> None:
    # A client of our own making: others tidy paths up before they ask.
    with socket.create_connection(("127.0.0.1", int(front.url.rpartition(":")[2])), timeout=120) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    status = int(answer.split()[1])
    assert status in (400, 401, 403, 404, 422), answer[:300]
    assert b"root:x:0" not in answer and b"came after" not in answer and b"not published" not in answer
    assert b"<a href" not in answer, "no listing"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_changed_through_it(front: Front, method: str) -> None:
    for path in ("/boot/first.ipxe", "/boot/firmware/snponly.efi", "/boot/artefacts/root.img.zst"):
        assert front.ask(method, path).status_code in (403, 405)
    assert front.ask(method, "/api/artefacts/publish").status_code == 404


def test_firmware_that_boots_by_http_gets_ipxe(front: Front) -> None:
    program = Path("/usr/lib/ipxe/snponly.efi").read_bytes()
    answer = front.get("/boot/firmware/snponly.efi")
    assert answer.content == program
    assert front.ask("HEAD", "/boot/firmware/snponly.efi").headers["Content-Length"] == str(len(program))


def test_scripts_name_the_address_that_was_asked(front: Front) -> None:
    script = front.get("/boot/first.ipxe").text
    assert f"{front.url}/boot/${{net0/mac:hexhyp}}.ipxe" in script
    assert "sanboot" in front.get("/boot/52-54-00-12-34-56.ipxe").text


def test_a_file_that_has_gone_is_no_failure_of_ours(front: Front) -> None:
    (front.artefacts / "root.img.zst").rename(front.artefacts / ".away")
    try:
        assert front.get("/boot/artefacts/root.img.zst").status_code in (403, 404)
    finally:
        (front.artefacts / ".away").rename(front.artefacts / "root.img.zst")
