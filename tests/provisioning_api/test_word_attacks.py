"""Names, paths and facts that are made up to do harm; docs/attacks.md has a line for each."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of
from fastapi import FastAPI
from ramdisk import Ramdisk, random_mac
from test_attacks import refused

from provisioning_api.machines.hardware import plain

Make = Callable[..., Awaitable[dict[str, Any]]]

# --- names, patterns, paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostname",
    [
        "all", "ungrouped", "localhost", "$(reboot)", "web*", "a,b", "a:b", "!a", "node[1:3]", "~.*", "-i",
        "@file", "a;reboot", "a b", "a\nb", "../etc", "{{7*7}}", "a" * 64, "", "UPPER", "127.0.0.1", "a.b",
        "12345", "pool-gpu",
    ],
)  # fmt: skip
async def test_a_hostname_is_one_name_and_never_a_pattern_or_a_command(
    operator: httpx.AsyncClient, hostname: str
) -> None:
    called = await operator.post("/api/ready-for-provisioning", json={"hostname": hostname, "ip": "10.0.0.7"})
    refused(called, 422, "request.invalid")
    refused(await operator.post("/api/runs", json={"machines": [hostname]}), 422, "request.invalid")


@pytest.mark.parametrize(
    "ip",
    [
        "10.0.0.7; reboot",
        "10.0.0.7:22",
        "example.com",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "10.0.0.0/8",
        "fe80::1%eth0",
        "",
    ],
)
async def test_an_ip_is_one_address(operator: httpx.AsyncClient, ip: str) -> None:
    called = await operator.post("/api/ready-for-provisioning", json={"hostname": "node1", "ip": ip})
    refused(called, 422, "request.invalid")


@pytest.mark.parametrize(
    "playbook",
    [
        "../evil.yml",
        "/etc/passwd.yml",
        "-e@x.yml",
        "a/../../b.yml",
        "a//b.yml",
        "x.yml -e a=b",
        "x.sh",
        "./x.yml",
    ],
)
async def test_a_playbook_is_a_file_below_the_project(operator: httpx.AsyncClient, playbook: str) -> None:
    answer = await operator.post("/api/runs", json={"machines": ["node1"], "playbook": playbook})
    refused(answer, 422, "request.invalid")


@pytest.mark.parametrize("tag", ["a b", "--list-hosts", "a,b", "$(id)", "a'b"])
async def test_a_tag_is_a_word(operator: httpx.AsyncClient, tag: str) -> None:
    answer = await operator.post("/api/runs", json={"machines": ["node1"], "tags": [tag]})
    refused(answer, 422, "request.invalid")


@pytest.mark.parametrize(
    "path",
    [
        "/boot/..%2f..%2f..%2fetc%2fpasswd.ipxe",
        "/boot/artefacts/..%2fkeys%2fca.key",
        "/boot/artefacts/%2e%2e%2fkeys%2fca.key",
        "/boot/artefacts/....//keys/ca.key",
        "/boot/artefacts/%00",
        "/boot/not-a-mac.ipxe",
        "/boot/ff:ff:ff:ff:ff:ff.ipxe",
    ],
)
async def test_a_boot_url_leads_nowhere_else(machine_client: httpx.AsyncClient, path: str) -> None:
    answer = await machine_client.get(path)
    assert answer.status_code in (404, 422) and "PRIVATE" not in answer.text


async def test_a_forged_host_header_writes_no_script(app: FastAPI) -> None:
    async with client_of(app, "http://provisioning.example", "10.0.0.7") as client:
        honest = await client.get("/boot/first.ipxe")
        assert "chain --autofree http://provisioning.example/boot/" in honest.text
        for host in ("evil\texample", "a b", "x;reboot", "$(reboot)", "a||reboot", "a\u00a0b"):
            answer = await client.get("/boot/first.ipxe", headers={"Host": host.encode()})
            refused(answer, 400, "boot.bad_host")
            for path in ("/api/health", "/api/machines", f"/boot/{random_mac()}.ipxe", "/boot/manifest.json"):
                other = await client.get(path, headers={"Host": host.encode()})
                assert other.status_code < 500, (path, host, other.text)
        # What a URL ends a host with ends it here too.
        cut = await client.get("/boot/first.ipxe", headers={"Host": "a/b#c"})
        assert cut.status_code == 400 or "a/b#c" not in cut.text


# --- what machines say of themselves ------------------------------------------------------------------------

EVIL = "{{ lookup('ansible.builtin.pipe', 'touch MARK') }}$(touch MARK)`touch MARK`\x1b[31m\n- evil: true"


async def test_facts_are_data_for_ansible_and_never_templates(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    evil = EVIL.replace("MARK", str(mark))
    gpu = {"address": evil[:150], "vendor": "10de", "device": "1e81", "model": evil[:190], "vram_mib": 8192}
    await make_member("node1", hardware={"product": evil[:190], "gpus": [gpu], "cpu_threads": 8})
    (project / "playbook.yaml").write_text(
        "- hosts: all\n  gather_facts: false\n  connection: local\n  tasks:\n"
        '    - ansible.builtin.debug: {msg: "{{ soundstage_gpus[0].model }} {{ '
        'soundstage_gpus[0].address }}"}\n'
    )
    assert (await run_of("node1"))["state"] == "succeeded"
    assert not mark.exists()
    shown = json.dumps((await operator.get("/api/inventory")).json())
    assert not any(sign in shown for sign in ("{{", "$(", "`", "\\u001b"))


def test_what_is_left_of_a_machines_words_is_harmless() -> None:
    assert not set("{}$`'\"\\\x1b\n") & set(plain(EVIL))


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    machine_client: httpx.AsyncClient,
) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b"{"
        while taken < 100 << 20:
            taken += 64 << 10
            yield b" " * (64 << 10)

    headers = {"Content-Type": "application/json"}
    answer = await machine_client.post("/api/agent/discover", content=endless(), headers=headers)
    refused(answer, 413, "http.body_too_large")
    assert "64 KiB" in answer.json()["detail"]
    assert taken <= 256 << 10


async def test_a_report_with_ten_thousand_disks_is_refused_with_the_limit(ramdisk: Ramdisk) -> None:
    ramdisk.hardware = {"disks": [{"name": f"sd{n}", "bytes": 1} for n in range(10_000)]}
    answer = await ramdisk.discover()
    refused(answer, 413, "http.body_too_large")
    assert "64 KiB" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/agent/discover", "/api/ready-for-provisioning"])
async def test_a_body_that_would_unpack_to_gigabytes_is_not_unpacked(
    machine_client: httpx.AsyncClient, path: str
) -> None:
    packed = zlib.compress(b" " * (16 << 20))
    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    refused(await machine_client.post(path, content=packed, headers=headers), 415, "http.body_encoded")


async def test_a_report_cannot_be_of_any_length(ramdisk: Ramdisk) -> None:
    ramdisk.hardware = {"disks": [{"name": f"sd{n}", "bytes": 1} for n in range(129)]}
    refused(await ramdisk.discover(), 422, "machine.bad_report")
    ramdisk.hardware, ramdisk.macs = {}, [random_mac() for _ in range(33)]
    refused(await ramdisk.discover(), 422, "machine.bad_report")


async def test_a_rule_looks_at_where_a_call_comes_from_and_not_at_what_it_says(
    app: FastAPI, operator: httpx.AsyncClient
) -> None:
    rule = {"name": "here", "when": {"networks": ["10.0.0.0/24"]}, "then": {"tags": ["here"]}}
    (await operator.post("/api/rules", json=rule)).raise_for_status()
    async with (
        client_of(app, "https://provisioning.example", "192.0.2.66") as outside,
        client_of(app, "https://provisioning.example", "10.0.0.8") as inside,
    ):
        liar, honest = Ramdisk(outside, address="10.0.0.7"), Ramdisk(inside, address="10.0.0.8")
        for ramdisk, tags in ((liar, []), (honest, ["here"])):
            (await ramdisk.discover()).raise_for_status()
            assert (await operator.get(f"/api/machines/{ramdisk.name}")).json()["tags"] == tags


async def test_a_rule_that_accepts_the_whole_world_cannot_be_made(operator: httpx.AsyncClient) -> None:
    answer = await operator.patch("/api/rules/any-machine-on-this-network", json={"enabled": True})
    refused(answer, 422, "rule.invalid")
    rule = {"name": "everybody", "then": {"accept": True}}
    refused(await operator.post("/api/rules", json=rule), 422, "request.invalid")
