"""The job files do what docs/guide/nomad.md says of them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nomad_cluster import NomadAgent, NomadCluster, engine_program, eventually  # type: ignore[import-not-found]

from farm.nomad.request import VOLUME_PLACE

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]
AVATAR = ROOT / "avatar" / ".venv" / "bin" / "avatar"
BY_THE_FARM = ("-var", "by_hand=false", "-var", "id=farm-1")
PLANNED = (0, 1)
"""`nomad job plan` says with 1 that running the job would make something."""

SPEC = {
    "version": 1,
    "title": "By hand",
    "canvas": {"width": 320, "height": 180, "fps": 25},
    "scenes": [
        {
            "id": "hello",
            "script": "Hello.",
            "face": {"kind": "rig", "character": "nova"},
            "voice": {"kind": "espeak"},
        }
    ],
}


@pytest.mark.parametrize("name", ["render", "tts"])
def test_a_job_file_is_valid_and_can_be_planned(nomad: Any, name: str) -> None:
    path = f"jobs/{name}.nomad.hcl"
    assert "successful" in nomad("job", "validate", path).stdout
    assert f'Job: "{name}"' in nomad("job", "plan", path, ok=PLANNED).stdout


def test_every_job_file_is_formatted(nomad: Any) -> None:
    nomad("fmt", "-check", "-recursive", "jobs")


def test_a_request_for_a_card_is_placed_where_one_is_large_enough(nomad: Any) -> None:
    plan = ("job", "plan", "-var", "driver=raw_exec", *BY_THE_FARM, "-var", "gpus=1")
    fits = nomad(*plan, "-var", "vram_mib=8000", "jobs/render.nomad.hcl", ok=PLANNED).stdout
    assert "All tasks successfully allocated" in fits
    too_small = nomad(*plan, "-var", "vram_mib=16384", "jobs/render.nomad.hcl", ok=PLANNED).stdout
    assert "missing devices" in too_small
    two = nomad(*plan, "-var", "gpus=2", "-var", "vram_mib=8000", "jobs/render.nomad.hcl", ok=PLANNED).stdout
    assert "devices: no devices match request" in two or "missing devices" in two


def test_without_a_gpu_no_device_is_asked_for(nomad: Any) -> None:
    text = nomad("job", "run", "-output", *BY_THE_FARM, "jobs/render.nomad.hcl").stdout
    task = json.loads(text)["Job"]["TaskGroups"][0]["Tasks"][0]
    assert not task["Resources"]["Devices"]
    assert task["KillSignal"] == "SIGTERM"


def test_a_node_that_is_avoided_gets_no_work(nomad: Any, cluster: NomadCluster) -> None:
    node = cluster.clients["gpu"].node_id
    plan = ("job", "plan", *BY_THE_FARM, "-var", "driver=raw_exec")
    for avoided, expected in (("somewhere", "All tasks successfully"), (node, "failed to place 1")):
        avoid = ("-var", f'avoid_nodes=["{avoided}"]')
        assert expected in nomad(*plan, *avoid, "jobs/render.nomad.hcl", ok=PLANNED).stdout


def test_a_host_volume_for_inputs_is_asked_for_by_name(nomad: Any) -> None:
    plan = ("job", "plan", *BY_THE_FARM, "-var", "driver=raw_exec")
    for name, expected in (("inputs", "All tasks successfully"), ("nowhere", "missing compatible host vol")):
        said = nomad(*plan, "-var", f"cache_volume={name}", "jobs/render.nomad.hcl", ok=PLANNED).stdout
        assert expected in said
    text = nomad(
        "job", "run", "-output", *BY_THE_FARM, "-var", "cache_volume=inputs", "jobs/render.nomad.hcl"
    )
    group = json.loads(text.stdout)["Job"]["TaskGroups"][0]
    assert group["Volumes"]["cache"]["Source"] == "inputs"
    assert group["Tasks"][0]["VolumeMounts"][0]["Destination"] == VOLUME_PLACE


def test_isolated_tasks_get_the_worker_from_a_host_volume_that_they_may_only_read(nomad: Any) -> None:
    given = (*BY_THE_FARM, "-var", "worker_volume=soundstage", "-var", "cache_volume=inputs")
    text = nomad("job", "run", "-output", *given, "jobs/render.nomad.hcl")
    group = json.loads(text.stdout)["Job"]["TaskGroups"][0]
    volume = group["Volumes"]["worker"]
    assert (volume["Source"], volume["ReadOnly"]) == ("soundstage", True)
    mounts = {one["Volume"]: one for one in group["Tasks"][0]["VolumeMounts"]}
    assert (mounts["worker"]["Destination"], mounts["worker"]["ReadOnly"]) == ("/opt/soundstage", True)
    assert mounts["cache"]["Destination"] == VOLUME_PLACE


def test_people_register_the_job_dispatch_a_spec_and_fetch_the_video(nomad: Any, tmp_path: Path) -> None:
    if not AVATAR.exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(SPEC))
    settings = ("-var", "driver=raw_exec", "-var", f"command={AVATAR}", "-var", "memory_mb=2048")
    nomad("job", "run", *settings, "jobs/render.nomad.hcl")
    said = nomad("job", "dispatch", "-detach", "-idempotency-token", "once", "render", str(spec)).stdout
    again = nomad("job", "dispatch", "-detach", "-idempotency-token", "once", "render", str(spec)).stdout
    job = _dispatched(said)
    assert _dispatched(again) == job, "the same token dispatches once"
    allocation = eventually(lambda: _ended(nomad, job), 60, "the worker to end")
    log = nomad("alloc", "logs", "-stderr", allocation["ID"]).stdout
    assert allocation["ClientStatus"] == "complete", log
    listed = nomad("alloc", "fs", allocation["ID"], "alloc/data").stdout
    for name in ("video.mp4", "video.vtt", "video.srt", "video.png", "video.provenance.json"):
        assert name in listed
    provenance = nomad("alloc", "fs", allocation["ID"], "alloc/data/video.provenance.json").stdout
    assert json.loads(provenance)
    lines = nomad("alloc", "logs", allocation["ID"]).stdout.splitlines()
    assert json.loads(lines[-1])["event"] == "result"


def test_the_speech_service_is_registered_and_checked(nomad: Any) -> None:
    settings = ["-var", "provider=nomad", "-var", "id=speech", *_speech_server()]
    nomad("job", "run", "-detach", *settings, "jobs/tts.nomad.hcl")
    try:
        found = eventually(lambda: _services(nomad, "speech"), 30, "the service to be registered")
        assert {"soundstage", "speech"} <= set(found[0]["Tags"])
        url = f"http://{found[0]['Address']}:{found[0]['Port']}/"
        assert eventually(lambda: _answers(url), 20, f"an answer of {url}")
    finally:
        nomad("job", "stop", "-purge", "-detach", "speech")


def test_the_speech_service_is_found_in_consul(nomad: Any, consul: str) -> None:
    nomad("job", "run", "-detach", "-var", "id=voices", *_speech_server(), "jobs/tts.nomad.hcl")
    try:
        url = f"{consul}/v1/health/service/voices?passing"
        found = eventually(lambda: json.loads(_get(url)), 45, "the service to be healthy in Consul")
        assert found[0]["Service"]["Tags"] == ["soundstage", "speech"]
    finally:
        nomad("job", "stop", "-purge", "-detach", "voices")


@pytest.fixture
def consul(cluster: NomadCluster, tmp_path: Path) -> Iterator[str]:
    """A Consul agent, and a Nomad client that knows it; its address."""
    program = engine_program("consul")
    ports = _free_ports(6)
    names = ("http", "dns", "server", "serf_lan", "serf_wan", "grpc")
    config = tmp_path / "consul.json"
    config.write_text(json.dumps({"ports": {**dict(zip(names, ports, strict=True)), "grpc_tls": -1}}))
    log = (tmp_path / "consul.log").open("wb")
    process = subprocess.Popen(
        [program, "agent", "-dev", "-bind", "127.0.0.1", "-config-file", config],
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{ports[0]}"
    client = NomadAgent(
        "with-consul",
        cluster.server.folder.parent / "with-consul",
        {
            "consul": {"address": f"127.0.0.1:{ports[0]}", "grpc_address": f"127.0.0.1:{ports[5]}"},
            "client": {
                "enabled": True,
                "network_interface": "lo",
                "server_join": {"retry_join": [cluster.server.rpc_address], "retry_interval": "1s"},
                "cpu_total_compute": 4000,
                "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,vault"},
            },
            "plugin": {"raw_exec": {"config": {"enabled": True}}},
        },
    )
    cluster.clients["with-consul"] = client
    try:
        eventually(lambda: _answers(f"{address}/v1/status/leader"), 30, "Consul to have a leader")
        client.start()
        yield address
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _speech_server() -> list[str]:
    """Stands in for a speech server: something that answers on the port that it is given."""
    program = (
        "from http.server import SimpleHTTPRequestHandler as Answers, test; from os import environ as e;"
        "test(Answers, port=int(e['PORT']), bind=e['HOST'])"
    )
    arguments = json.dumps(["-c", program])
    return [
        *("-var", f"command={sys.executable}", "-var", f"args={arguments}", "-var", "health_path=/"),
        *("-var", "driver=raw_exec", "-var", "gpus=0", "-var", "memory_mb=64"),
    ]


def _dispatched(said: str) -> str:
    found = re.search(r"Dispatched Job ID\s*=\s*(\S+)", said)
    assert found is not None, said
    return found.group(1)


def _ended(nomad: Any, job: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = json.loads(nomad("job", "allocs", "-json", job).stdout)
    return found[0] if found and found[0]["ClientStatus"] in ("complete", "failed") else None


def _services(nomad: Any, name: str) -> Any:
    said = nomad("service", "info", "-json", name, ok=(0, 1)).stdout
    return json.loads(said) if said.startswith("[") else None


def _answers(url: str) -> bool:
    try:
        return bool(_get(url))
    except OSError:
        time.sleep(0.2)
        return False


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        content: bytes = answer.read()
    return content


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
