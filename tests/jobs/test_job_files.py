"""The job files do what docs/guide/nomad.md says of them."""

from __future__ import annotations

import json
import re
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nomad_cluster import NomadCluster  # type: ignore[import-not-found]
from waiting import eventually

from agent.tools.cluster.jobs import ChangeJob, job_files
from farm.nomad import NomadAddress
from farm.nomad.operating import OperatorClient
from farm.nomad.request import VOLUME_PLACE
from soundstage.errors import SoundstageError

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


POOL = ("-var", "host_network=default")
"""The pool of cards asks nobody who they are, so its file has no network by itself."""
FILES = {
    "agent": (),
    "livekit": (),
    "llamacpp-rpc": POOL,
    "llm-expert": (),
    "provisioning-api": (),
    "render": (),
    "tts": (),
    "voice": ("-var", "server_url=http://127.0.0.1:8000"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.smoke
def test_a_job_file_is_valid_and_can_be_planned(nomad: Any, name: str) -> None:
    given = (*FILES[name], f"jobs/{name}.nomad.hcl")
    assert "successful" in nomad("job", "validate", *given).stdout
    assert f'Job: "{name}"' in nomad("job", "plan", *given, ok=PLANNED).stdout


def test_every_job_file_is_offered_to_the_agents_tool() -> None:
    assert job_files() == sorted(FILES)


@pytest.mark.parametrize("name", ["llamacpp-rpc", "llm-expert"])
def test_a_language_model_asks_for_cards_that_are_large_enough_or_for_none(nomad: Any, name: str) -> None:
    path = f"jobs/{name}.nomad.hcl"
    given = (*FILES[name], "-var", "driver=raw_exec", "-var", "provider=nomad", "-var", "memory_mb=256")
    plan = ("job", "plan", *given)
    assert "All tasks successfully" in nomad(*plan, "-var", "vram_mib=8000", path, ok=PLANNED).stdout
    assert "missing devices" in nomad(*plan, "-var", "vram_mib=16384", path, ok=PLANNED).stdout
    assert "All tasks successfully" in nomad(*plan, "-var", "gpus=0", path, ok=PLANNED).stdout
    text = nomad("job", "run", "-output", *given, "-var", "gpus=0", path).stdout
    assert not json.loads(text)["Job"]["TaskGroups"][0]["Tasks"][0]["Resources"]["Devices"]


def test_a_language_model_runs_where_its_weights_are(nomad: Any) -> None:
    plan = ("job", "plan", "-var", "driver=raw_exec", "-var", "provider=nomad", "-var", "memory_mb=256")
    path = "jobs/llm-expert.nomad.hcl"
    here, elsewhere = ("-var", 'nodes=["away", "gpu"]'), ("-var", 'nodes=["away"]')
    assert "All tasks successfully" in nomad(*plan, *here, path, ok=PLANNED).stdout
    assert "failed to place 1" in nomad(*plan, *elsewhere, path, ok=PLANNED).stdout


def test_a_pool_that_asks_nobody_who_they_are_is_not_opened_by_accident(nomad: Any) -> None:
    said = nomad("job", "plan", "jobs/llamacpp-rpc.nomad.hcl", ok=(255,))
    assert "host_network" in said.stderr


def test_the_model_server_gets_what_the_variables_say(nomad: Any) -> None:
    given = ("-var", "model=qwen", "-var", "topics=tides, harbours", "-var", "api_key=true")
    text = nomad("job", "run", "-output", *given, "-var", "count=2", "jobs/llm-expert.nomad.hcl").stdout
    group = json.loads(text)["Job"]["TaskGroups"][0]
    service, task = group["Services"][0], group["Tasks"][0]
    assert service["Tags"] == ["soundstage", "llm-expert", "topic=tides", "topic=harbours"]
    assert service["Meta"] == {"model": "qwen", "path": "/v1"}
    arguments = task["Config"]["args"]
    assert arguments[arguments.index("--alias") + 1] == "qwen"
    assert arguments[arguments.index("--n-gpu-layers") + 1] == "999"
    assert arguments[arguments.index("--api-key-file") + 1] == "${NOMAD_SECRETS_DIR}/api_key"
    assert (group["Count"], task["Resources"]["Devices"][0]["Count"]) == (2, 1)
    plain = nomad("job", "run", "-output", "-var", "gpus=0", "jobs/llm-expert.nomad.hcl").stdout
    arguments = json.loads(plain)["Job"]["TaskGroups"][0]["Tasks"][0]["Config"]["args"]
    assert arguments[arguments.index("--n-gpu-layers") + 1] == "0"
    assert "--api-key-file" not in arguments


async def test_what_is_said_in_a_sentence_reaches_the_job_file(cluster: NomadCluster) -> None:
    said = ChangeJob.model_validate(
        {
            "action": "deploy",
            "job": "llm-expert",
            "variables": "gpus = 0, api_key = true and topics = tides sea",
        }
    )
    async with OperatorClient(NomadAddress(cluster.server.address)) as client:
        text = (ROOT / "jobs" / "llm-expert.nomad.hcl").read_text()
        group = (await client.parse_job(text, said.variables))["TaskGroups"][0]
        assert group["Services"][0]["Tags"][2:] == ["topic=tides", "topic=sea"]
        assert "--api-key-file" in group["Tasks"][0]["Config"]["args"]
        with pytest.raises(SoundstageError, match="host_network"):
            await client.parse_job((ROOT / "jobs" / "llamacpp-rpc.nomad.hcl").read_text(), {})


@pytest.mark.parametrize("name", ["agent", "provisioning-api"])
def test_what_keeps_its_state_on_a_node_stays_there(nomad: Any, name: str) -> None:
    path = f"jobs/{name}.nomad.hcl"
    plan = ("job", "plan", "-var", "driver=raw_exec", "-var", "provider=nomad")
    assert "failed to place 1" in nomad(*plan, "-var", "node=elsewhere", path, ok=PLANNED).stdout
    here = ("-var", "node=gpu", "-var", "state_volume=inputs")
    assert "All tasks successfully" in nomad(*plan, *here, path, ok=PLANNED).stdout
    text = nomad("job", "run", "-output", *here, "-var", "config_volume=settings", path).stdout
    group = json.loads(text)["Job"]["TaskGroups"][0]
    mounts = {one["Volume"]: one for one in group["Tasks"][0]["VolumeMounts"]}
    assert mounts["state"]["Destination"] == group["Tasks"][0]["Env"]["SOUNDSTAGE_STATE_DIR"]
    assert (mounts["config"]["Destination"], mounts["config"]["ReadOnly"]) == ("/etc/soundstage", True)
    assert group["Disconnect"]["Replace"] is False and group["ReschedulePolicy"]["Attempts"] == 0


def test_the_agent_has_one_process_on_each_node_that_shares_its_state(nomad: Any) -> None:
    plan = ("job", "plan", "-var", "driver=raw_exec", "-var", "provider=nomad")
    path = "jobs/agent.nomad.hcl"
    assert "All tasks successfully" in nomad(*plan, "-var", 'nodes=["gpu"]', path, ok=PLANNED).stdout
    assert "failed to place 1" in nomad(*plan, "-var", 'nodes=["away"]', path, ok=PLANNED).stdout
    # Never two on one node.
    assert "failed to place 1" in nomad(*plan, "-var", 'nodes=["gpu", "away"]', path, ok=PLANNED).stdout
    text = nomad("job", "run", "-output", "-var", 'nodes=["gpu", "away"]', path).stdout
    assert json.loads(text)["Job"]["TaskGroups"][0]["Count"] == 2


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
    allocation = eventually(lambda: _ended(nomad, job), "the worker to end", 120)
    log = nomad("alloc", "logs", "-stderr", allocation["ID"]).stdout
    assert allocation["ClientStatus"] == "complete", log
    listed = nomad("alloc", "fs", allocation["ID"], "alloc/data").stdout
    for name in ("video.mp4", "video.vtt", "video.srt", "video.png", "video.provenance.json"):
        assert name in listed
    provenance = nomad("alloc", "fs", allocation["ID"], "alloc/data/video.provenance.json").stdout
    assert json.loads(provenance)
    lines = nomad("alloc", "logs", allocation["ID"]).stdout.splitlines()
    assert json.loads(lines[-1])["event"] == "result"


def test_a_job_of_the_older_gpu_worker_is_dispatched_as_it_is(nomad: Any, tmp_path: Path) -> None:
    """`{"input": …}` in the place of a spec: made, or refused in the words of the worker."""
    if not AVATAR.exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")
    picture = ROOT / "tests" / "avatar" / "photo" / "fixtures" / "drawn.png"
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as written:
        written.setparams((1, 2, 16_000, 0, "NONE", ""))
        written.writeframes(bytes([0, 16, 0, 240]) * 4_000)
    settings = ("-var", "driver=raw_exec", "-var", f"command={AVATAR}", "-var", "memory_mb=2048")
    nomad("job", "run", *settings, "-var", 'networks=["127.0.0.0/8"]', "jobs/render.nomad.hcl")
    with _served({"/face.png": picture.read_bytes(), "/s.wav": sound.read_bytes()}) as url:
        consent = {"person": "Nobody", "purpose": "tests", "granted_at": "2026-11-02"}
        asked = {"image_url": f"{url}/face.png", "audio_url": f"{url}/s.wav", "consent": consent}
        size = {"format": {"width": 256, "height": 256, "fps": 10}}
        done = _run_job(nomad, tmp_path, {"job_type": "lipsync_only", **asked, **size})
    listed = nomad("alloc", "fs", done["ID"], "alloc/data").stdout
    lines = nomad("alloc", "logs", done["ID"]).stdout.splitlines()
    assert (done["ClientStatus"], json.loads(lines[-1])["event"]) == ("complete", "result"), lines
    assert "video.mp4" in listed
    image = _run_job(nomad, tmp_path, {"job_type": "image", "prompt": "a harbour"})
    lines = nomad("alloc", "logs", image["ID"]).stdout.splitlines()
    assert (image["ClientStatus"], json.loads(lines[-1])["code"]) == ("failed", "job.image_missing")


def _run_job(nomad: Any, tmp_path: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Its allocation, after it has ended."""
    payload = tmp_path / "job.json"
    payload.write_text(json.dumps({"input": job}))
    name = _dispatched(nomad("job", "dispatch", "-detach", "render", str(payload)).stdout)
    ended: dict[str, Any] = eventually(lambda: _ended(nomad, name), "the worker to end", 120)
    return ended


@contextmanager
def _served(files: dict[str, bytes]) -> Iterator[str]:
    """A web server on loopback that has these files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _dispatched(said: str) -> str:
    found = re.search(r"Dispatched Job ID\s*=\s*(\S+)", said)
    assert found is not None, said
    return found.group(1)


def _ended(nomad: Any, job: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = json.loads(nomad("job", "allocs", "-json", job).stdout)
    return found[0] if found and found[0]["ClientStatus"] in ("complete", "failed") else None
