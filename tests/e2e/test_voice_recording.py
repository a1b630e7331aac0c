"""A voice session becomes a video: both are heard, the presenter listens, captions hold the words of both."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from program_inputs import PROGRAM
from voice_installation import Installation
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.cached(*PROGRAM)

WAIT_S = 300


async def test_a_conversation_becomes_a_video(voice: Installation, tmp_path: Path) -> None:
    opened = voice.open()
    path = f"/api/voice/session/{opened['session_id']}/recording"
    async with voice.talk(opened) as person:
        assert voice.post(path, {}).json()["recorded"]
        assert voice.post(path, {}).json()["code"] == "voice.is_recorded"
        await person.until(lambda: person.of("state")[-1]["recorded"], "the sign that it is recorded")
        await person.say("what videos do I have")
        # The text of an answer comes before its sound.
        await person.until(lambda: person.state == "speaking", "the answer")
        await person.until(lambda: person.state == "listening", "its end")
        await person.socket.send(json.dumps({"type": "say", "text": "Thank you [pause] so much!"}))
        await person.until(lambda: person.state == "speaking", "the second answer")
        await person.until(lambda: person.state == "listening", "its end")
    answers = [one["text"] for one in person.of("caption")]
    queued = voice.post(f"{path}/video", {})
    assert queued.status_code == 202, queued.text
    assert queued.json()["title"] == "Nova: what videos do i have"
    assert voice.post(f"{path}/video", {}).json()["code"] == "voice.not_recorded"
    render = wait_for_video(voice, queued.json()["id"])
    captions = file_of(voice, render, "vtt").decode()
    words = " ".join(line for line in captions.split("\n") if line and "-->" not in line)
    assert "what videos do i have" in words, captions
    for answer in answers:
        assert " ".join(answer.split()[:3]) in words, (answer, captions)
    film = tmp_path / "film.mp4"
    film.write_bytes(file_of(voice, render, "video"))
    loud, lips = sound_and_lips(film)
    scenes = render["spec"]["scenes"]
    assert [scene["off_camera"] for scene in scenes][:2] == [True, False]
    assert scenes[2]["overlays"][0]["text"] == "Thank you [pause] so much!", "what was written is shown"
    begin_s, end_s = span_of(captions, "what videos do i have")
    answer_s = span_of(captions, " ".join(answers[0].split()[:3]))
    assert loud(begin_s, end_s) > 0.05 and loud(*answer_s) > 0.05, "both are heard"
    assert lips(*answer_s) > 2 * lips(begin_s, end_s), "the presenter listens, and then speaks"
    verified = voice.home.run("verify", str(film))
    assert verified.returncode == 0 and "Soundstage" in verified.stdout, verified.stdout + verified.stderr
    assert [*voice.home.path.rglob("voice-recordings/*")] == [], "the sound is in the video alone"
    audit = voice.home.run("audit", "list", "--json").stdout
    assert "voice.recording_began" in audit and "voice.recorded" in audit


def wait_for_video(voice: Installation, render_id: str) -> Any:
    def check() -> Any:
        render = voice.get(f"/api/renders/{render_id}")
        assert render["state"] not in ("failed", "cancelled"), render
        return render if render["state"] == "done" else None

    return eventually(check, "the video", WAIT_S)


def file_of(voice: Installation, render: dict[str, Any], role: str) -> bytes:
    url = f"{voice.url}/api/renders/{render['id']}/files/{role}"
    answer = httpx.get(url, headers=voice.headers, timeout=WAIT_S, follow_redirects=True)
    assert answer.status_code == 200, (role, answer.text)
    return answer.content


def span_of(captions: str, words: str) -> tuple[float, float]:
    """Returns when the caption with these words is shown."""
    blocks = [one.split("\n") for one in captions.split("\n\n")]
    [times] = [next(line for line in block if "-->" in line) for block in blocks if words in " ".join(block)][
        :1
    ]
    begin, end = (
        sum(60**place * float(part) for place, part in enumerate(reversed(moment.split(":"))))
        for moment in times.split(" --> ")
    )
    return begin, end


def sound_and_lips(film: Path) -> tuple[Any, Any]:
    """Returns measures of a span in seconds: the loudness (RMS), and how much the lips move."""
    with av.open(film) as container:
        pictures = [
            (frame.time, frame.to_ndarray(format="gray").astype(np.int16))
            for frame in container.decode(video=0)
        ]
    with av.open(film) as container:
        frames = list(container.decode(audio=0))
        hz = frames[0].sample_rate
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames])

    def loudness(begin_s: float, end_s: float) -> float:
        piece = sound[round(begin_s * hz) : round(end_s * hz)]
        return float(np.sqrt((piece**2).mean()))

    def lips(begin_s: float, end_s: float) -> float:
        height, width = pictures[0][1].shape
        some = [
            picture[height * 45 // 100 : height * 65 // 100, width * 42 // 100 : width * 58 // 100]
            for at, picture in pictures
            if begin_s <= at <= end_s
        ]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(some)]))

    return loudness, lips
