"""A speech service as a job: found where it is registered, heard there, and not named while it is ill."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
import wave
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import OpenAIVoice
from nomad_cluster import NomadCluster  # type: ignore[import-not-found]
from waiting import eventually

from studio.personas.health import look_at

pytestmark = pytest.mark.root

Nomad = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "avatar" / ".venv" / "bin"
SERVICE = ROOT / "tests" / "avatar" / "speech" / "speech_service.py"
PATIENCE_S = 120
SENTENCE = "Good morning, my friends."
RATE_HZ = 24_000
"""The rate at which the service speaks; no voice of the worker's own does."""
LOUD = 1000
"""Of 32767: above what silence and rounding leave."""


def test_a_sentence_is_spoken_where_consul_says_and_an_ill_service_is_not_named(
    nomad: Nomad, cluster: NomadCluster, consul: Any, tmp_path: Path
) -> None:
    def passing() -> list[dict[str, Any]]:
        return _got(f"{consul.address}/v1/health/service/voices?passing")

    def told_503() -> bool:
        checks = _got(f"{consul.address}/v1/health/checks/voices")
        return [one["Status"] for one in checks if "503" in one["Output"]] == ["critical"]

    consul.nomad_client(cluster, "with-consul")
    with speech_service(nomad, "voices", tmp_path / "service"):
        (found,) = eventually(passing, "the service to be healthy in Consul", PATIENCE_S)
        service = found["Service"]
        assert service["Tags"] == ["soundstage", "speech"]
        voice = OpenAIVoice(base_url=f"http://{service['Address']}:{service['Port']}")
        assert asyncio.run(look_at(voice)).ok
        speak(voice.model_dump(), tmp_path)

        ill = tmp_path / "service" / "ill"
        ill.touch()
        eventually(told_503, "Consul to see that the service is ill", PATIENCE_S)
        assert passing() == []
        assert "not ready (503)" in asyncio.run(look_at(voice)).message

        ill.unlink()
        (again,) = eventually(passing, "the service to be healthy again", PATIENCE_S)
        assert again["Service"]["ID"] == service["ID"], "it is the same one, at the same place"


def test_without_consul_nomad_itself_names_the_service_and_checks_it(nomad: Nomad, tmp_path: Path) -> None:
    def registered() -> list[dict[str, Any]]:
        said = nomad("service", "info", "-json", "speech", ok=(0, 1)).stdout
        return list(json.loads(said)) if said.startswith("[") else []

    def checked(allocation: str) -> bool:
        said = nomad("alloc", "checks", "-json", allocation, ok=(0, 1)).stdout
        checks = json.loads(said).values() if said.startswith("{") else []
        told = [(one["Check"], one["Status"], one["StatusCode"]) for one in checks]
        return told == [("answers", "success", 200)]

    with speech_service(nomad, "speech", tmp_path / "service", "-var", "provider=nomad"):
        (service,) = eventually(registered, "the service to be registered", PATIENCE_S)
        assert {"soundstage", "speech"} <= set(service["Tags"])
        eventually(lambda: checked(service["AllocID"]), "its check to succeed", PATIENCE_S)
        url = f"http://{service['Address']}:{service['Port']}"
        speak({"kind": "qwen", "base_url": url, "voice_id": "ada", "cloned": False}, tmp_path)


def test_a_speech_server_gets_its_weights_to_read_and_a_place_for_cloned_voices(nomad: Nomad) -> None:
    given = ["-var", "weights_volume=weights", "-var", "voices_volume=voices", "-var", 'env={MORE = "1"}']
    text = nomad("job", "run", "-output", *given, "jobs/tts.nomad.hcl")
    group = json.loads(text.stdout)["Job"]["TaskGroups"][0]
    task = group["Tasks"][0]
    assert (group["Volumes"]["weights"]["ReadOnly"], group["Volumes"]["voices"]["ReadOnly"]) == (True, False)
    mounts = {one["Volume"]: one["Destination"] for one in task["VolumeMounts"]}
    assert mounts == {"weights": "/weights", "voices": "/voices"}
    assert task["Env"] == {"HOST": "${NOMAD_IP_http}", "PORT": "${NOMAD_PORT_http}", "MORE": "1"}
    plain = json.loads(nomad("job", "run", "-output", "jobs/tts.nomad.hcl").stdout)["Job"]["TaskGroups"][0]
    assert not plain["Volumes"] and not plain["Tasks"][0]["VolumeMounts"]


@contextmanager
def speech_service(nomad: Nomad, name: str, folder: Path, *more: str) -> Iterator[None]:
    """The job with the server of the worker's own tests; a file `ill` in the folder makes it ill."""
    _need_worker()
    folder.mkdir()
    variables = {
        "id": name,
        "command": str(WORKER / "python"),
        "args": json.dumps([str(SERVICE), str(folder)]),
        "driver": "raw_exec",
        "gpus": "0",
        "memory_mb": "512",
    }
    given = [word for key, value in variables.items() for word in ("-var", f"{key}={value}")]
    nomad("job", "run", "-detach", *given, *more, "jobs/tts.nomad.hcl")
    try:
        yield
    except AssertionError as error:
        said = nomad("alloc", "logs", "-job", "-stderr", name, ok=(0, 1))
        raise AssertionError(f"{error}; its log:\n{said.stdout}{said.stderr}") from error
    finally:
        nomad("job", "stop", "-purge", "-detach", name)


def speak(voice: dict[str, Any], folder: Path) -> None:
    """The worker says the sentence with this voice; what it keeps is sound of the service."""
    scene = {"id": "hello", "script": SENTENCE, "face": {"kind": "rig", "character": "nova"}, "voice": voice}
    spec = folder / "spec.json"
    canvas = {"width": 320, "height": 180, "fps": 25}
    spec.write_text(json.dumps({"version": 1, "canvas": canvas, "scenes": [scene]}))
    done = subprocess.run(
        [WORKER / "avatar", "speak", spec, "hello", folder / "said"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with wave.open(str(folder / "said" / "audio.wav")) as sound:
        assert sound.getframerate() == RATE_HZ
        samples = array("h", sound.readframes(sound.getnframes()))
    assert len(samples) > RATE_HZ and max(samples) > LOUD
    sheet = json.loads((folder / "said" / "speech.json").read_text())
    assert [word["text"] for word in sheet["words"]] == SENTENCE.split()


def _need_worker() -> None:
    if not (WORKER / "avatar").exists():
        pytest.fail("the worker's environment is missing: (cd avatar && uv sync --extra cpu --extra face)")


def _got(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())
