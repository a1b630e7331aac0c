"""Measures a presenter who answers as a video: how far lips and sound are apart at the person, and how late.

A server and a voice worker are started; pictures carry numbers, sentences are tones
(`tests/support/numbered_worker.py`), and the person, in this process, reads both as they come out of the
decoder and the jitter buffer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Route, sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "provisioning_api"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))

from fake_microphone import Microphone
from livekit_server import answers, livekit_variables
from local_login import local_headers
from numbered_worker import BLOCK, CYCLE_MS, LIMIT, read_number
from ready import told_until_ready
from room_person import PeerPerson, RoomPerson
from studio_page import CHROMIUM, OPTIONS
from waiting import eventually

from app.local_access import read_local_access
from app.server.start_link import make_start_link
from bench.processes import processor_s
from bench.results import add_figure, add_json_option, percentile, write_figures

ROOT = Path(__file__).parents[1]
TEXT = "what can you do"
EARLY_MS, LATE_MS = 60, 40
"""Pictures may be so much before and after their sound (EBU R37: sound 60 ms late to 40 ms early)."""
SILENCE_S = 0.3
WAIT_S = 60.0


WATCH = """() => {
  const found = window.measured = {pictures: [], sounds: []};
  const canvas = new OffscreenCanvas(16 * BLOCK, 2 * BLOCK);
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const number = (pixels, row) => {
    let value = 0;
    for (let place = 0; place < 16; place++) {
      const at = 4 * ((row * BLOCK + BLOCK / 2) * canvas.width + place * BLOCK + BLOCK / 2);
      value = 2 * value + (pixels[at + 1] > LIMIT ? 1 : 0);
    }
    return value;
  };
  const look = (film, now) => {
    pen.drawImage(film, 0, 0, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    found.pictures.push([now, number(data, 0), (performance.timeOrigin + now) % 65536, number(data, 1)]);
  };
  const follow = film => film.requestVideoFrameCallback(now => { look(film, now); follow(film); });
  const films = new WeakSet();
  new MutationObserver(() => {
    const film = document.querySelector('.talk-ring video');
    if (film && !films.has(film)) { films.add(film); follow(film); }
  }).observe(document, {childList: true, subtree: true});
  const make = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const source = make.call(this, stream), ear = new AnalyserNode(this, {fftSize: 128});
    const samples = new Float32Array(128);
    source.connect(ear);
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      if (Math.max(...samples) > 0.05) found.sounds.push(performance.now());
    }, 4);
    return source;
  };
}"""
"""Runs in the page: notes each picture as it is presented, and when sound comes out of the jitter buffer."""


class Pictures:
    """Notes each picture: when it came, the position of its sound, and how old it is; milliseconds."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, int, float]] = []

    def see(self, luma: Any) -> None:
        at_s = time.perf_counter()
        age_ms = (time.monotonic() * 1000 - read_number(luma, 1)) % CYCLE_MS
        self.pictures.append((at_s, read_number(luma, 0), age_ms))


def offsets(seen: Pictures, sounds: list[float]) -> list[float]:
    """Returns for each picture how long after its sound it came, in milliseconds; negative: before it."""
    onsets = [after for before, after in pairwise([float("-inf"), *sounds]) if after - before > SILENCE_S]
    found = []
    for at_s, position_ms, _ in seen.pictures:
        if position_ms:
            onset = min(onsets, key=lambda one: abs(at_s - position_ms / 1000 - one), default=None)
            if onset is not None and abs(at_s - position_ms / 1000 - onset) < SILENCE_S:
                found.append((at_s - onset) * 1000 - position_ms)
    return found


async def measure(
    url: str, headers: dict[str, str], transport: str, turns: int
) -> tuple[Pictures, list[float], float]:
    """Has the agent say sentences; returns what was seen, when sound was heard, and how long it took."""
    seen = Pictures()
    request = {"agent_id": "nova", "transport": transport, "video": True}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=WAIT_S) as client:
        answer = await client.post("/api/voice/session", json=request)
        answer.raise_for_status()
        opened = answer.json()
    if transport == "livekit":
        person: Any = await RoomPerson.join(opened["url"], opened["token"])
        person.on_picture = seen.see
    else:
        person = await PeerPerson.connect(opened["url"], opened["token"], headers, on_picture=seen.see)
    try:
        await person.until(lambda: person.state == "listening", "a worker")
        await person.until(lambda: seen.pictures, "a picture")
        began_s = time.perf_counter()
        for _ in range(turns):
            captions = len(person.of("caption"))
            await person.send({"type": "say", "text": TEXT})
            await person.until(lambda before=captions: len(person.of("caption")) > before, "the answer")
            await person.until(lambda: person.state == "listening", "the end of the answer")
            await asyncio.sleep(0.6)
        took_s = time.perf_counter() - began_s
    finally:
        await person.close()
    return seen, [one["at_s"] for one in person.of("sound")], took_s


def measure_page(url: str, folder: Path, turns: int) -> tuple[Pictures, list[float], float]:
    """Does the same in the page Talk of a real Chromium, which synchronises sound and pictures itself."""
    seen = Pictures()
    access = read_local_access(folder / "state")
    if access is None:
        raise SystemExit("the server has not told how to log in")
    microphone = Microphone(folder / "microphone.wav")
    with sync_playwright() as playwright:
        devices = [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone.path}%noloop",
        ]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *devices])
        page = browser.new_page(permissions=["microphone"], bypass_csp=True)
        page.add_init_script(f"({WATCH.replace('BLOCK', str(BLOCK)).replace('LIMIT', str(LIMIT))})()")
        page.route("**/api/voice/session", _with_video)
        page.goto(make_start_link(access, None).url)
        page.locator(".bar").wait_for(timeout=1000 * WAIT_S)
        page.goto(f"{url}/talk")
        page.get_by_role("button", name="Start talking").click()
        page.locator('.talk[data-state="listening"]').wait_for(timeout=1000 * WAIT_S)
        page.locator('.talk-ring video[data-seen="true"]').wait_for(timeout=1000 * WAIT_S)
        began_s = time.perf_counter()
        for turn in range(turns + 1):
            if turn == 1:
                # The first answer comes while the page still loads: it is not counted.
                page.evaluate(
                    "() => { window.measured.pictures.length = window.measured.sounds.length = 0; }"
                )
                began_s = time.perf_counter()
            page.locator("#utterance").fill(TEXT)
            page.keyboard.press("Enter")
            page.locator('.talk[data-state="speaking"]').wait_for(timeout=1000 * WAIT_S)
            page.locator('.talk[data-state="listening"]').wait_for(timeout=1000 * WAIT_S)
            page.wait_for_timeout(600)
        took_s = time.perf_counter() - began_s
        if screenshot := os.environ.get("LIVE_FACE_SHOT"):
            page.screenshot(path=screenshot)
        found = page.evaluate("() => window.measured")
        browser.close()
    # The page's clock and ours are the same one with another beginning.
    seen.pictures = [(now / 1000, position, 0.0) for now, position, _, _ in found["pictures"]]
    return seen, [one / 1000 for one in found["sounds"]], took_s


def _with_video(route: Route) -> None:
    route.continue_(post_data=json.dumps({**(route.request.post_data_json or {}), "video": True}))


@contextmanager
def server(folder: Path, transport: str, height: int) -> Any:
    """Runs a server with a numbered voice worker; yields its URL, the headers and the worker."""
    livekit = livekit_variables() if transport == "livekit" else {}
    settings = {
        "HTTP__PORT": "0",
        "VOICE__ENABLED": "false",
        "VOICE__VIDEO_HEIGHT": str(height),
        "VOICE__TRANSPORT": transport,
        "PROVISIONING__ENABLED": "false",
        "PERSONAS_DIR": str(ROOT / "personas"),
    }
    environment = {
        **os.environ,
        **{f"SOUNDSTAGE_{name}": value for name, value in settings.items()},
        **livekit,
    }
    with (folder / "log").open("w") as log:
        up = subprocess.Popen(
            [Path(sys.executable).with_name("soundstage"), "up", "--json"],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        worker = None
        try:
            url = told_until_ready(up, folder / "log")["url"]
            headers = local_headers(folder / "state")
            worker = subprocess.Popen(
                [sys.executable, "-P", str(ROOT / "tests/support/numbered_worker.py"), url],
                cwd=folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

            def workers() -> int:
                found = httpx.get(f"{url}/api/voice/status", headers=headers).json()
                return int(found["workers"])

            eventually(lambda: workers() == 1, "a worker", WAIT_S)
            if livekit:
                eventually(lambda: answers(livekit), "LiveKit", WAIT_S)
            yield url, headers, worker
        finally:
            for process in (worker, up):
                if process is not None:
                    process.terminate()
                    process.wait(60)


def report(transport: str, person: str, options: argparse.Namespace, folder: Path, found: Any) -> None:
    """Measures one transport at one receiver, and prints the figures."""
    url, headers, worker = found
    before_s = processor_s(worker.pid)
    if person == "page":
        seen, sounds, took_s = measure_page(url, folder, options.turns)
    else:
        seen, sounds, took_s = asyncio.run(measure(url, headers, transport, options.turns))
    cores = (processor_s(worker.pid) - before_s) / took_s
    late = offsets(seen, sounds)
    ages = [age for _, _, age in seen.pictures]
    p5, p50, p95 = (percentile(late, share) for share in (0.05, 0.5, 0.95))
    in_time = 100 * sum(-EARLY_MS <= one <= LATE_MS for one in late) / max(1, len(late))
    name = f"live face, {transport}, {'Chromium' if person == 'page' else 'program'}"
    print(f"{name}: {options.height} lines, {options.turns} answers, load {os.getloadavg()[0]:.1f}")
    print(f"  {len(seen.pictures)} pictures in {took_s:.0f} s, {len(late)} of them with sound")
    print(f"  picture after sound: p5 {p5:.0f} ms, p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    print(f"  within -{EARLY_MS} to +{LATE_MS} ms: {in_time:.1f} %; processor {cores:.2f} cores")
    add_figure(f"{name}: pictures within -60 to +40 ms of their sound", in_time, "%", goal=">= 95")
    add_figure(f"{name}: processor of worker and drawing", cores, "cores", goal="<= 0.8")
    if person == "program":
        print(f"  drawn to decoded: p50 {percentile(ages, 0.5):.0f} ms, p95 {percentile(ages, 0.95):.0f} ms")
        add_figure(f"{name}: drawn to decoded, p95", percentile(ages, 0.95), "ms", goal="<= 80")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10, help="answers of each transport (default 10)")
    parser.add_argument("--transport", action="append", choices=["livekit", "webrtc"], default=[])
    parser.add_argument("--person", action="append", choices=["program", "page"], default=[])
    parser.add_argument("--height", type=int, choices=[360, 540, 720, 1080], default=720)
    add_json_option(parser)
    options = parser.parse_args()
    for transport in options.transport or ["livekit", "webrtc"]:
        with (
            tempfile.TemporaryDirectory() as folder,
            server(Path(folder), transport, options.height) as found,
        ):
            for person in options.person or ["program", "page"]:
                report(transport, person, options, Path(folder), found)
    write_figures("live_face", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
