"""A person talks to the agent over a WebSocket: a real server, voice worker, recogniser and voice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from program_inputs import PROGRAM
from spoken_words import silence, speech
from voice_installation import WAIT_S, Installation
from voice_person import SOFTEST
from waiting import eventually
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")

pytestmark = pytest.mark.cached(*PROGRAM)

PIECE_MS = 40
"""Sound of the agent in one message."""


async def test_a_spoken_question_is_answered_by_voice_in_the_same_conversation(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.say("what videos do I have")
        await person.until(
            lambda: person.of("sound") and person.state == "listening", "the end of the answer"
        )
    transcript = person.of("transcript")[0]
    assert transcript["text"] == "what videos do i have" and transcript["confidence"] >= 0.5
    assert [one["text"] for one in person.of("partial")][-1] == "what videos do i have"
    order = [kind for kind in person.kinds if kind in ("transcript", "caption", "sound")]
    assert order[:3] == ["transcript", "caption", "sound"]
    caption = person.of("caption")[0]
    assert caption["words"] and caption["visemes"] and caption["duration_ms"] > 500
    assert max(caption["level"]) > 0.5 and caption["emotion"] == "neutral" and 0 < caption["intensity"] <= 1
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == ["what videos do i have"]
    assert caption["text"].split()[0] in turns[0]["reply"]
    assert voice.metric("voice_first_audio_seconds_count") >= 1
    assert voice.metric("voice_first_audio_seconds_sum") > 0


async def test_a_written_sentence_is_answered_aloud_and_interrupts(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.socket.send(json.dumps({"type": "say", "text": "What can you do?"}))
        await person.until(lambda: len(person.of("sound")) > 3, "the answer")
        await person.socket.send(json.dumps({"type": "say", "text": "What videos do I have?"}))
        await person.until(lambda: person.of("stop"), "silence")
        await person.until(
            lambda: len(person.of("caption")) > 1 and person.state == "listening", "the next answer"
        )
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == ["What can you do?", "What videos do I have?"]


async def test_the_conversation_goes_on_while_a_video_is_made_and_its_end_is_said(
    voice: Installation,
) -> None:
    opened = voice.open()
    path = f"/api/chat/sessions/{opened['session_id']}/turns"
    async with voice.talk(opened) as person:
        await person.socket.send(json.dumps({"type": "say", "text": "Have Nova say: Good morning"}))
        await person.until(lambda: person.of("caption") and person.state == "listening", "the answer")
        await person.say("what can you do")
        await person.until(lambda: len(person.of("transcript")) == 1, "a question meanwhile")

        def ready() -> list[str]:
            return [one["text"] for one in person.of("caption") if "is ready" in one["text"]]

        await person.until(ready, "that it is ready", 2 * WAIT_S)
        sounds = len(person.of("sound"))
        await person.until(lambda: len(person.of("sound")) > sounds, "its sound")
    assert ready() == ["Your video “Good morning” is ready."]
    first, second = voice.get(path)
    assert first["reply"].endswith("Your video “Good morning” is ready.")
    assert second["utterance"] == "what can you do" and "is ready" not in second["reply"]


async def test_an_everyday_sentence_begins_no_turn(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.say("he said he would call back later")
        await person.until(lambda: person.of("unclear"), "what was not understood")
    assert person.of("transcript") == []
    assert voice.get(f"/api/chat/sessions/{opened['session_id']}/turns") == []


async def test_who_speaks_while_the_agent_speaks_interrupts_it(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.say("what can you do")
        await person.until(lambda: len(person.of("sound")) > 3, "the answer")
        await person.say("what videos do I have")
        await person.until(lambda: len(person.of("transcript")) == 2, "the second question")
        await person.until(
            lambda: person.state == "listening" and person.kinds[-1] != "transcript", "its answer"
        )
    stop, second = person.kinds.index("stop"), person.kinds.index("transcript", person.kinds.index("sound"))
    assert stop < second, "it went on speaking until the end of the sentence"
    first_answer = person.kinds[:second]
    longest_ms = person.of("caption")[0]["duration_ms"]
    assert first_answer.count("sound") * PIECE_MS < 0.8 * longest_ms, f"it went on: {person.summary}"
    silent = first_answer[stop:]
    assert "sound" not in silent[silent.index("state") :], f"it did not fall silent: {person.summary}"
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == ["what can you do", "what videos do i have"]
    assert voice.metric("voice_barge_in_seconds_count") >= 1


async def test_sentences_that_are_not_in_the_grammar_are_understood(voice: Installation) -> None:
    def attempts() -> int:
        return len(person.of("unclear")) + len(person.of("transcript"))

    async def say_until(text: str, done: Callable[[], bool]) -> None:
        """Says a sentence until it was understood: the model of such sentences is estimated when the worker
        starts, and the recogniser is not sure of every word while the machine is busy.
        """
        while not done():
            before = attempts()
            await person.say(text)
            await person.until(lambda before=before: attempts() > before, f"“{text}”")
            await person.until(lambda: person.state == "listening", "the end of the answer")

    opened = voice.open()
    async with voice.talk(opened) as person:
        await say_until("so which films can you show me", lambda: bool(person.of("transcript")))
        assert person.of("transcript")[0]["text"] == "so which films can you show me"

        def question() -> str:
            return str(person.of("unclear")[-1]["text"]) if person.of("unclear") else ""

        # What makes something is asked back first, and done after a yes.
        await say_until("write me something on fire drills no video yet", lambda: "fire" in question())
        sentence = question()
        await say_until("yes please", lambda: len(person.of("transcript")) == 2)
        assert person.of("transcript")[1]["text"] == sentence
        # What people say to others leads to nothing.
        unclear = len(person.of("unclear"))
        await person.say("my father fixed the roof himself")
        await person.until(lambda: len(person.of("unclear")) > unclear, "nothing")
        assert question() == ""
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["tool"] for turn in turns] == ["list_renders", "write_script"]


async def test_a_token_opens_one_socket_of_one_session_once(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{opened['url']}?token={opened['token']}", additional_headers=voice.headers)
    assert refused.value.response.status_code == 403
    again = voice.open(session_id=opened["session_id"])
    assert again["session_id"] == opened["session_id"] and again["token"] != opened["token"]
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{again['url']}?token={again['token']}")
    assert refused.value.response.status_code == 401


async def test_a_free_text_is_heard_while_the_agent_asks_for_one(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.socket.send(json.dumps({"type": "say", "text": "Create a project"}))
        await person.until(lambda: person.of("caption") and person.state == "listening", "the question")
        while not person.of("transcript"):
            # The embedded recogniser is not sure of every word, least of all while the machine is busy.
            questions = len(person.of("unclear"))
            await person.say("hello everybody and welcome back")
            await person.until(
                lambda before=questions: person.of("transcript") or len(person.of("unclear")) > before,
                "words",
            )
            await person.until(lambda: person.state != "speaking", "the end of the question")
        await person.until(lambda: len(person.of("caption")) > 1, "the answer")
    text = person.of("transcript")[0]["text"]
    assert {"everybody", "welcome"} & set(text.split()), "; ".join(person.summary)
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == ["Create a project", text]


async def test_a_muted_person_is_not_heard(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        answer = voice.post(f"/api/voice/session/{opened['session_id']}/mute", {"muted": True})
        assert answer.json()["muted"]
        await person.say("what videos do I have")
        await person.socket.send(json.dumps({"type": "mute", "muted": False}))
        await person.until(lambda: not person.of("state")[-1]["muted"], "the sound to be on")
        assert person.of("partial") == []
        await person.say("what videos do I have")
        await person.until(lambda: person.of("transcript"), "the question")


async def test_a_killed_worker_is_replaced_and_the_session_goes_on(voice: Installation) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        os.kill(voice.worker(), signal.SIGKILL)
        await person.until(lambda: person.state == "waiting", "the end of the worker")
        await person.until(lambda: person.state == "listening", "another worker")
        await person.say("what videos do I have")
        await person.until(lambda: person.of("sound"), "the answer")
    assert len(voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")) == 1


async def test_a_worker_that_is_killed_in_mid_sentence_loses_that_sentence_alone(
    voice: Installation,
) -> None:
    opened = voice.open()
    async with voice.talk(opened) as person:
        await person.socket.send(json.dumps({"type": "say", "text": "What can you do?"}))
        await person.until(lambda: len(person.of("sound")) > 3, "the answer")
        os.kill(voice.worker(), signal.SIGKILL)
        await person.until(lambda: person.of("stop") and person.state == "waiting", "the end of the worker")
        await person.until(lambda: person.state == "listening", "another worker")
        sounds = len(person.of("sound"))
        await person.say("what videos do I have")
        await person.until(lambda: len(person.of("sound")) > sounds, "the next answer")
    turns = voice.get(f"/api/chat/sessions/{opened['session_id']}/turns")
    assert [turn["utterance"] for turn in turns] == ["What can you do?", "what videos do i have"]
    assert all(turn["reply"] for turn in turns)


DEVICES = """
import os, threading, time
from array import array
from pathlib import Path

# What the loudspeaker played, at 24 kHz; with ECHO the microphone hears it 60 ms later, at half the level.
played = array("h", bytes(2 * 1440))

class _Stream:
    def __init__(self, samplerate, blocksize, channels, dtype, callback):
        assert (channels, dtype) == (1, "int16")
        self.bytes, self.callback, self.open = 2 * blocksize, callback, True
        self.latency = 0.02
        self.thread = threading.Thread(target=self.run, daemon=True)
    def __enter__(self):
        self.thread.start()
        return self
    def __exit__(self, *_):
        self.open = False
    def run(self):
        due = time.monotonic()
        while self.open:
            self.step()
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))

class RawInputStream(_Stream):
    sound = Path(os.environ["MICROPHONE"]).read_bytes()
    def step(self):
        data, RawInputStream.sound = self.sound[: self.bytes], self.sound[self.bytes :]
        heard = array("h", data.ljust(self.bytes, bytes(1)))
        if os.environ.get("ECHO") and len(played) >= 480:
            for at in range(320):
                heard[at] = max(-32768, min(32767, heard[at] + played[at * 3 // 2] // 2))
            del played[:480]
        self.callback(bytes(heard), 320, None, None)

class RawOutputStream(_Stream):
    def step(self):
        data = bytearray(self.bytes)
        self.callback(data, 480, None, None)
        played.frombytes(bytes(data))
        with open(os.environ["LOUDSPEAKER"], "ab") as file:
            file.write(data)
"""


async def test_talk_speaks_by_microphone_and_loudspeaker(voice: Installation, tmp_path: Path) -> None:
    # A double of the library that reaches the hardware: it plays and records files, in real time.
    (tmp_path / "sounddevice.py").write_text(DEVICES)
    microphone, loudspeaker = tmp_path / "microphone", tmp_path / "loudspeaker"
    microphone.write_bytes(silence(3) + speech("what videos do I have") + silence(1))
    files = {"MICROPHONE": str(microphone), "LOUDSPEAKER": str(loudspeaker), "PYTHONPATH": str(tmp_path)}
    process = voice.home.start("talk", "--json", **files)
    try:
        events = [json.loads(line) for line in iter_until(process, "caption")]
        spoken = eventually(lambda: array("h", even(loudspeaker.read_bytes())), "sound")
        eventually(lambda: max(array("h", even(loudspeaker.read_bytes()))) > SOFTEST, "the answer")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert spoken and [one["text"] for one in events if one["type"] == "transcript"] == [
        "what videos do i have"
    ]
    session = next(one["session_id"] for one in events if one["type"] == "ready")
    assert session not in [one["session_id"] for one in voice.get("/api/voice/sessions")]


@pytest.mark.parametrize("headphones", [False, True], ids=["echo is cancelled", "echo is heard"])
async def test_the_agent_does_not_hear_itself(voice: Installation, tmp_path: Path, headphones: bool) -> None:
    (tmp_path / "sounddevice.py").write_text(DEVICES)
    microphone, loudspeaker = tmp_path / "microphone", tmp_path / "loudspeaker"
    microphone.write_bytes(silence(3) + speech("what can you do") + silence(1))
    files = {"MICROPHONE": str(microphone), "LOUDSPEAKER": str(loudspeaker), "PYTHONPATH": str(tmp_path)}
    options = ("--headphones",) if headphones else ()
    process = voice.home.start("talk", "--json", *options, **files, ECHO="1")
    try:
        events = [json.loads(line) for line in iter_until(process, "caption")]
        events += [json.loads(line) for line in iter_until(process, "state", state="listening")]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    transcripts = [one["text"] for one in events if one["type"] == "transcript"]
    assert transcripts[0] == "what can you do"
    disturbed = len(transcripts) > 1 or any(one["type"] in ("unclear", "stop") for one in events)
    assert disturbed == headphones, events


def even(data: bytes) -> bytes:
    return data[: len(data) // 2 * 2]


def iter_until(process: subprocess.Popen[str], kind: str, **fields: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        event = json.loads(line)
        if event["type"] == kind and fields.items() <= event.items():
            return
