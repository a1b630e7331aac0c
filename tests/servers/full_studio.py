"""Fills a studio with what one has after some weeks: films of all states, machines, plans, publications."""

from __future__ import annotations

import math
import struct
import sys
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from editor_page import picture
from loopback_http import Reply, Request, serving_in_thread
from nomad_double import NomadDouble, nomad_double
from reporting_machines import call_home, machine_of, operator_of, report
from studio_page import REPOSITORY, Studio, run_in_thread, studio_up
from waiting import eventually
from youtube_server import Says, YouTubeServer

PATIENCE_S = 300
CANVAS = {"width": 854, "height": 480, "fps": 10}

WORKER = """#!{python} -IS
# Runs the real worker. A film of the lighthouse stays half made, one of the storm fails.
import json, pathlib, subprocess, sys, time
arguments = [{program!r}, *sys.argv[1:]]
spec = next((pathlib.Path(one) for one in sys.argv[2:] if one.endswith(".json")), None)
text = spec.read_text() if spec and spec.is_file() else ""
if sys.argv[1] == "segment" and "storm" in text:
    message = "The disk of the node is full, so the files of this step could not be written."
    hint = "Free space on the node; its cache of inputs can go."
    print(json.dumps({{"event": "error", "code": "disk.full", "message": message, "hint": hint}}), flush=True)
    sys.exit(1)
if sys.argv[1] != "segment" or "lighthouse" not in text:
    sys.exit(subprocess.call(arguments))
seen = False
worker = subprocess.Popen(arguments, stdout=subprocess.PIPE)
for line in worker.stdout:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    said = json.loads(line)
    seen = seen or said["event"] == "preview"
    if seen and said["event"] == "progress" and said["done_frames"] > said["total_frames"] * 0.4:
        break
worker.kill()
time.sleep(3600)
"""

PLAYBOOK = """
- name: Prepare the node
  hosts: all
  gather_facts: false
  tasks:
    - name: Set the clock
      ansible.builtin.debug: {msg: "chrony follows three servers"}
    - name: Install the packages
      ansible.builtin.debug: {msg: "nomad 1.10.5, consul 1.21.4"}
      changed_when: true
    - name: Join the farm
      ansible.builtin.debug: {msg: "a member of the pool gpu"}
      changed_when: true
    - name: Ask for a first job
      ansible.builtin.debug: {msg: "the node draws a face in 0.8 s"}
"""

TIDES: list[dict[str, Any]] = [
    {
        "title": "Welcome",
        "script": "Hello, I am Nova. Stand on a beach, and the *sea* will come to you. [gesture wave]",
        "background": {"kind": "set", "name": "office", "light": "warm"},
        "mood": "warm",
        "overlays": [
            {"kind": "lower_third", "name": "Nova", "role": "Explains the sea"},
            {
                "kind": "title",
                "title": "How tides work",
                "subtitle": "Why the sea comes and goes",
                "box": {"x": 0.08, "y": 0.06, "width": 0.84, "height": 0.24},
                "start": {"at": "word", "word": "beach"},
            },
        ],
    },
    {
        "title": "Three causes",
        "script": "Three things move the water: first the moon, then the sun, and last the coast.",
        "background": {"kind": "set", "name": "classroom"},
        "camera": {"framing": "side_left"},
        "transition": {"kind": "wipe"},
        "overlays": [
            {
                "kind": "list",
                "heading": "What moves the water",
                "start": {"at": "word", "word": "Three"},
                "items": [
                    {"text": "The moon: it pulls", "at": {"at": "word", "word": "moon"}},
                    {"text": "The sun: large, but far", "at": {"at": "word", "word": "sun"}},
                    {"text": "The coast: it decides", "at": {"at": "word", "word": "coast"}},
                ],
            },
        ],
    },
    {
        "title": "Twice a day",
        "script": "Thank you, Nova. So every coast has two high tides a day. [pause 300ms] Good bye!",
        "persona": "milo",
        "background": {"kind": "set", "name": "studio"},
        "transition": {"kind": "dissolve"},
        "overlays": [
            {
                "kind": "text",
                "text": "Two high tides a day",
                "box": {"x": 0.06, "y": 0.08, "width": 0.4, "height": 0.12},
                "background": "#1b6f86e6",
                "start": {"at": "word", "word": "two"},
            },
        ],
    },
]


class GoogleServer(YouTubeServer):
    """YouTube, whose owner has agreed."""

    def agree(self, consent: str) -> str:
        """Returns where the browser of the owner goes back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(consent).query).items()}
        self.codes["code-1"] = query["code_challenge"]
        return f"{query['redirect_uri']}?state={query['state']}&code=code-1"


class WholeFarm(NomadDouble):
    """Three nodes, one of them drained, and three jobs, one of which waits for a card."""

    def answer(self, method: str, path: str, body: Any) -> Any:
        if (method, path) == ("GET", "/v1/nodes"):
            bare = {**self._node()["NodeResources"], "Devices": []}
            other = {**self._node(), "NodePool": "default", "NodeResources": bare}
            drained = {"Drain": True, "SchedulingEligibility": "ineligible"}
            return [
                self._node(),
                {**self._node(), "ID": "node-2", "Name": "gpu-2", **drained},
                {**other, "ID": "node-3", "Name": "cpu-1"},
            ]
        if (method, path) == ("GET", "/v1/jobs"):
            others = [
                self._named("rnd-lighthouse", "batch", {"Running": 1, "Starting": 0, "Queued": 0}),
                self._named("faces", "service", {"Running": 0, "Starting": 0, "Queued": 1}),
            ]
            return [self._job(), *others]
        if method == "GET" and path.startswith("/v1/job/faces/"):
            return self._of_faces(path.rpartition("/")[2])
        return super().answer(method, path, body)

    def _of_faces(self, part: str) -> Any:
        """Of the job that waits."""
        lacks = {
            "server": {"NodesEvaluated": 3, "DimensionExhausted": {"devices": 2}, "CoalescedFailures": 0}
        }
        blocked = {
            "ID": "e",
            "Status": "blocked",
            "FailedTGAllocs": lacks,
            "CreateIndex": 5,
            "ModifyIndex": 5,
        }
        return {"evaluations": [blocked], "allocations": []}.get(part, {"Status": "running"})

    def _named(self, name: str, kind: str, counts: dict[str, int]) -> dict[str, Any]:
        summary = {"Summary": {"server": counts}}
        return {**self._job(), "ID": name, "Name": name, "Type": kind, "JobSummary": summary}


@dataclass
class FullStudio:
    """`ids` names one thing of each kind, for addresses of views."""

    studio: Studio
    client: httpx.Client
    folder: Path
    google: GoogleServer
    receiver_url: str
    ids: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    def say(self, sentence: str, session: str | None = None) -> str:
        """Says it in the conversation and waits for the answer; returns the id of the session."""
        return str(self.post("/api/chat", message=sentence, session_id=session)["session_id"])

    def film(self, project: str, state: str = "done") -> str:
        """Has a film of the project made; returns its id when it has that state."""
        render = str(self.post("/api/renders", project=project)["id"])
        self.until(render, state)
        return render

    def until(self, render: str, state: str) -> None:
        def has_it() -> bool:
            found = self.client.get(f"/api/renders/{render}").raise_for_status().json()
            assert found["state"] == state or found["state"] not in ("failed", "cancelled"), found["error"]
            return bool(found["state"] == state)

        eventually(has_it, f"a film to be {state}", PATIENCE_S)

    def project(self, title: str, *scenes: dict[str, Any] | str, **look: Any) -> str:
        created = str(self.post("/api/projects", title=title, canvas=CANVAS, **look)["id"])
        for scene in scenes:
            body = {"script": scene} if isinstance(scene, str) else scene
            self.post(f"/api/projects/{created}/scenes", **body)
        return created

    def upload(self, name: str, content: bytes, kind: str) -> dict[str, Any]:
        answer = self.client.post("/api/assets", files={"file": (name, content, kind)})
        return dict(answer.raise_for_status().json())


@contextmanager
def open_full_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStudio]:
    """A studio with a farm, a channel on YouTube and all that `fill` puts in."""
    folder = tmp_path_factory.mktemp("full")
    google = GoogleServer()

    async def receive(request: Request) -> Reply:
        await request.body()
        return Reply(204)

    with ExitStack() as stack:
        google.url = stack.enter_context(serving_in_thread(google))
        farm = stack.enter_context(nomad_double(WholeFarm()))
        receiver = stack.enter_context(serving_in_thread(receive))
        variables = _variables(folder, google.url, farm.url)
        studio = stack.enter_context(studio_up(tmp_path_factory, **variables))
        playbook = Path(studio.variables["SOUNDSTAGE_PROVISIONING__PROJECT_DIR"]) / "playbook.yaml"
        playbook.write_text(PLAYBOOK)
        client = stack.enter_context(
            httpx.Client(base_url=studio.url, headers=studio.headers, timeout=120, trust_env=False)
        )
        yield FullStudio(studio, client, folder, google, receiver)


def _variables(folder: Path, google_url: str, farm_url: str) -> dict[str, str]:
    secret = folder / "client-secret"
    secret.write_text("client-secret-1\n")
    worker = folder / "worker"
    program = str(REPOSITORY / "avatar" / ".venv" / "bin" / "avatar")
    worker.write_text(WORKER.format(python=sys.executable, program=program))
    worker.chmod(0o755)
    youtube = {
        "CLIENT_ID": "client-1",
        "CLIENT_SECRET_FILE": str(secret),
        "API_URL": google_url,
        "CONSENT_URL": f"{google_url}/consent",
        "TOKEN_URL": f"{google_url}/token",
        "REVOKE_URL": f"{google_url}/revoke",
    }
    return {
        "SOUNDSTAGE_WORKER__COMMAND": str(worker),
        "SOUNDSTAGE_FARM__NOMAD__ADDRESS": farm_url,
        "SOUNDSTAGE_WEBHOOKS__LOOPBACK": "true",
        **{f"SOUNDSTAGE_YOUTUBE__{name}": value for name, value in youtube.items()},
    }


def fill(full: FullStudio) -> None:
    """Puts all of it in; films that stay under way come last."""
    kit, music = _add_files(full)
    _add_films(full, kit, music)
    _add_conversation(full)
    _add_machines(full)
    _add_publications(full)
    _add_keys_and_webhooks(full)
    _add_work(full)


def _add_files(full: FullStudio) -> tuple[str, str]:
    """Returns the ids of a brand kit and of a piece of music."""
    pictures = REPOSITORY / "docs" / "pictures"
    for name in ("presenters.jpg", "hero.jpg", "turned.jpg"):
        full.upload(name, (pictures / name).read_bytes(), "image/jpeg")
    logo = full.upload("soundstage.png", picture(96, 96), "image/png")
    music = full.upload("waves.wav", _tone(full.folder / "waves.wav"), "audio/wav")
    kit = full.post(
        "/api/brands",
        name="Harbour museum",
        colours={"accent": "#e07a3f", "text": "#ffffff", "panel": "#14283ae6"},
        logo={
            "image": {"sha256": logo["sha256"]},
            "box": {"x": 0.86, "y": 0.05, "width": 0.1, "height": 0.14},
        },
        lower_third={"side": "left"},
        intro={"kind": "title", "title": "{title}", "subtitle": "{subtitle}"},
    )
    full.post("/api/brands", name="Weekly figures", colours={"accent": "#5b5bd6", "panel": "#1c1c3ae6"})
    words = {"Siobhan": "shi-vawn", "Nomad": "no-mad", "Gdansk": "g-dansk", "SQL": "sequel"}
    full.client.patch("/api/pronunciations", json={"pronunciation": words}).raise_for_status()
    return str(kit["id"]), str(music["sha256"])


def _tone(path: Path) -> bytes:
    """Returns four seconds of a chord that swells and falls."""
    rate, seconds = 16_000, 4
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        frames = (
            sum(math.sin(2 * math.pi * note * at / rate) for note in (220, 277, 330))
            * math.sin(math.pi * at / rate / seconds)
            for at in range(rate * seconds)
        )
        file.writeframes(b"".join(struct.pack("<h", int(4000 * frame)) for frame in frames))
    return path.read_bytes()


def _add_films(full: FullStudio, kit: str, music: str) -> None:
    tides = full.project(
        "How tides work",
        *TIDES,
        subtitle="Why the sea comes and goes",
        music={"audio": {"sha256": music}, "level_db": -18},
        output={"captions": {"mode": "both"}},
        tags=["sea", "school"],
    )
    harbour = full.project(
        "A tour of the harbour",
        "Welcome to the harbour museum. The cranes that you see are a hundred years old.",
        "On the left lies the old light ship. Please stay behind the rope.",
        persona="amina",
        brand=kit,
        tags=["museum"],
    )
    figures = full.project(
        "Week 48 in figures",
        "Twelve films were made this week, and two of them were published.",
        persona="vera",
    )
    full.project("Safety on board", "Before we leave, look where your life jacket is.", persona="leo")
    full.ids["project"] = tides
    full.ids["film"] = full.film(tides)
    full.ids["harbour"] = full.film(harbour)
    full.film(figures)
    scene = full.client.get(f"/api/projects/{tides}/scenes").json()[2]["id"]
    changed = "Thank you, Nova. So every coast has two high tides each day. [pause 300ms] See you soon!"
    full.client.patch(f"/api/projects/{tides}/scenes/{scene}", json={"script": changed}).raise_for_status()
    # Drawn while a worker is free.
    for one in full.client.get(f"/api/projects/{tides}/scenes").json():
        full.client.get(f"/api/projects/{tides}/scenes/{one['id']}/still?word=0").raise_for_status()
    old = full.project("An old draft", "Nobody needs this any more.")
    full.client.delete(f"/api/projects/{old}").raise_for_status()
    gone = full.film(full.project("First try", "Is this thing on?", persona="finn"))
    full.client.delete(f"/api/renders/{gone}").raise_for_status()
    failed = full.post(
        "/api/renders",
        title="Before the storm",
        persona="walter",
        script="The storm comes in from the west this evening.",
    )["id"]
    full.ids["failed"] = str(failed)
    full.until(full.ids["failed"], "failed")


def _add_conversation(full: FullStudio) -> None:
    session = ""
    for sentence in (
        "Every day at 6:30 make a video where Vera says good morning.",
        "yes",
        "Every monday at 9:00 list the machines.",
        "yes",
        "Who can speak?",
        "Make a video in 360p where Nova says: Good morning. The tide comes in twice a day.",
    ):
        session = full.say(sentence, session or None)
    newest = full.client.get("/api/renders").raise_for_status().json()[0]["id"]
    full.until(str(newest), "done")
    full.ids["session"] = session
    full.post("/api/snapshots", name="before the opening", session_id=session)
    full.post("/api/snapshots", name="the film for schools", session_id=session)


def _add_machines(full: FullStudio) -> None:
    """Three that wait to be accepted, one that was accepted, one that is ready and had a run."""
    gpu = {
        "address": "01:00.0",
        "vendor": "10de",
        "device": "2882",
        "model": "GeForce RTX 4060",
        "vram_mib": 8188,
    }

    def hardware(serial: str, threads: int, *, gpus: int = 0) -> dict[str, Any]:
        return {
            "vendor": "Supermicro",
            "product": "SYS-521GE",
            "serial": serial,
            "cpu_model": "AMD EPYC 9354P",
            "cpu_threads": threads,
            "memory_mib": 4096 * threads,
            "disks": [{"name": "nvme0n1", "bytes": 1_920_383_410_176, "model": "PM9A3"}],
            "gpus": [gpu | {"address": f"0{one + 1}:00.0"} for one in range(gpus)],
        }

    waiting = [
        machine_of(address=f"10.0.0.{20 + one}", hardware=hardware(f"RACK-2{one}", threads, gpus=one % 2))
        for one, threads in enumerate((8, 16, 32))
    ]
    accepted = machine_of(address="10.0.0.31", hardware=hardware("RACK-31", 32, gpus=2))
    ready = machine_of(address="127.0.0.1", hardware=hardware("RACK-07", 64, gpus=4))
    run_in_thread(report(full.studio, *waiting, accepted, ready))

    async def accept() -> None:
        async with operator_of(full.studio) as operator:
            for one in (accepted, ready):
                path = f"/api/machines/{one.machine_id}/accept"
                (await operator.post(path, json={"code": one.code})).raise_for_status()

    run_in_thread(accept())
    run_in_thread(call_home(full.studio, ready))
    full.ids["machine"] = ready.name

    def run_has_ended() -> bool:
        runs = full.client.get("/api/farm/runs").raise_for_status().json()
        full.ids["run"] = runs[0]["id"] if runs else ""
        return bool(runs) and runs[0]["state"] == "succeeded"

    eventually(run_has_ended, "the run of the playbook", PATIENCE_S)
    for machine in waiting[:2]:
        full.say(f"accept the machine {machine.name}")
    approvals = full.client.get("/api/approvals").raise_for_status().json()
    full.ids["approval"] = approvals[0]["id"]


def _add_publications(full: FullStudio) -> None:
    consent = full.client.post("/youtube/connect").raise_for_status().json()
    back = full.google.agree(consent["url"])
    full.client.get(back).raise_for_status()
    film = f"/api/renders/{full.ids['film']}"
    full.post(f"{film}/publish", title="How tides work", privacy="public", tags=["sea", "moon"])

    def is_out() -> bool:
        found = full.client.get("/api/publications").raise_for_status().json()
        return any(one["state"] == "published" for one in found)

    eventually(is_out, "the film to be published", PATIENCE_S)
    full.google.faults["start"] = [Says(400, "invalidTitle")]
    full.post(
        f"/api/renders/{full.ids['harbour']}/publish", title="A tour of the harbour", privacy="unlisted"
    )
    for name, days in (("For the school", 7), ("For the museum", 30)):
        ends = datetime.now(UTC) + timedelta(days=days)
        link = full.post(f"{film}/links", name=name, expires_at=ends.isoformat())
        full.ids["watch"] = link["url"]


def _add_keys_and_webhooks(full: FullStudio) -> None:
    for name, role in (
        ("Weather bot", "editor"),
        ("Museum's screen", "viewer"),
        ("Nightly backup", "operator"),
    ):
        full.post("/api/keys", name=name, role=role)
    hook = full.post(
        "/api/webhooks",
        url=f"{full.receiver_url}/films",
        kinds=["render.done", "render.failed"],
        description="Tells the museum's screen",
    )
    full.post(f"/api/webhooks/{hook['id']}/test")
    full.post("/api/webhooks", url=f"{full.receiver_url}/archive", description="Everything, to the archive")


def _add_work(full: FullStudio) -> None:
    """One film that stays half made, and three that wait."""
    words = "The lighthouse was built on the rock, and its light is seen from twenty miles away. " * 3
    scenes = [f"{words} It stands there since the year {year}." for year in (1811, 1843)]
    lighthouse = full.project("The lighthouse", *scenes, persona="mei")
    full.ids["running"] = str(full.post("/api/renders", project=lighthouse)["id"])
    path = f"/api/renders/{full.ids['running']}"

    def has_preview() -> bool:
        found = full.client.get(path).raise_for_status().json()
        return bool(found["progress"]["preview"])

    eventually(has_preview, "the film to be under way", PATIENCE_S)
    for title, presenter in (
        ("News of the evening", "harjit"),
        ("Opening hours", "zuri"),
        ("Thank you", "nova"),
    ):
        full.post("/api/renders", title=title, persona=presenter, script=f"{title}. That is all for today.")
