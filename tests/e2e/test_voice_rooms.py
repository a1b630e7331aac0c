"""A person talks to the agent in a room of a real LiveKit server, and over a WebRTC peer connection."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from livekit_server import answers, livekit_variables
from lossy_way import LossyWay
from program_inputs import PROGRAM
from ready import told_until_ready
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytest.importorskip("livekit.rtc", reason="needs LiveKit's libraries: run `uv sync --inexact --extra voice`")
from livekit import api, rtc
from room_person import Luma, PeerPerson, RoomPerson
from voice_person import Person
from websockets.asyncio.client import connect

pytestmark = pytest.mark.cached(*PROGRAM)

WAIT_S = 60
WHAT = "what videos do i have"


class Rooms:
    """A server with a voice worker and a LiveKit server."""

    def __init__(self, url: str, home: Any, key: str, secret: str) -> None:
        self.url, self.home, self.key, self.secret = url, home, key, secret

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(
            method, f"{self.url}/api/voice{path}", headers=self.home.headers, timeout=WAIT_S, **more
        )

    def open(self, transport: str, **more: Any) -> dict[str, Any]:
        answer = self.call("POST", "/session", json={"agent_id": "nova", "transport": transport, **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def turns(self, session_id: str) -> Any:
        path = f"{self.url}/api/chat/sessions/{session_id}/turns"
        return httpx.get(path, headers=self.home.headers, timeout=WAIT_S).json()


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory, installation: type[Any]) -> Iterator[Rooms]:
    livekit = livekit_variables()
    home = installation(tmp_path_factory.mktemp("rooms"))
    keys = home.path / "livekit.keys"
    created = home.run("voice", "keys", "--file", str(keys))
    key, secret = keys.read_text().strip().split(": ")
    assert key in created.stdout and secret not in created.stdout and keys.stat().st_mode & 0o77 == 0
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_VOICE__ENABLED="true",
        SOUNDSTAGE_VOICE__VIDEO_HEIGHT="360",
        SOUNDSTAGE_PROVISIONING__ENABLED="false",
        **livekit,
    )
    found = Rooms(told_until_ready(process, home.log)["url"], home, key, secret)
    eventually(lambda: found.call("GET", "/status").json()["workers"] == 1, "a worker", WAIT_S)
    eventually(lambda: answers(livekit), "LiveKit", WAIT_S)
    yield found
    process.terminate()
    process.wait(120)
    assert not answers(livekit), "the LiveKit server outlived `up`"


async def ask(person: Person) -> None:
    await person.until(lambda: person.state == "listening", "a worker")
    await say(person)
    await person.until(lambda: person.of("sound") and person.of("caption"), "the answer")
    await person.until(lambda: person.state == "listening", "the end of the answer")
    assert [one["text"] for one in person.of("transcript")] == [WHAT]


async def write(person: Person) -> None:
    """Sends a sentence in writing, which is answered aloud."""
    captions = len(person.of("caption"))
    await person.send({"type": "say", "text": WHAT})
    await person.until(lambda: len(person.of("caption")) > captions, "the answer")
    await person.until(lambda: person.state == "listening", "the end of the answer")


def after_caption(person: Person) -> list[str]:
    """Returns the sound after the last caption."""
    kinds = person.kinds[::-1]
    return [kind for kind in kinds[: kinds.index("caption")] if kind == "sound"]


async def say(person: Person) -> None:
    """Asks, and again where the agent has not understood: sound has gaps while the machine is busy."""
    while not person.of("transcript"):
        questions = len(person.of("unclear"))
        await person.say(WHAT)
        await person.until(
            lambda before=questions: person.of("transcript") or len(person.of("unclear")) > before, "words"
        )
        if not person.of("transcript"):
            # It says so once, a moment later.
            with suppress(AssertionError):
                await person.until(lambda: person.state == "speaking", "that it did not understand", 3)
            await person.until(lambda: person.state == "listening", "the end of the question")


async def test_a_person_asks_and_hears_in_a_room_of_livekit(rooms: Rooms) -> None:
    opened = rooms.open("livekit")
    claims = api.TokenVerifier(rooms.key, rooms.secret).verify(opened["token"])
    assert claims.video is not None and claims.video.room == opened["room"] and claims.video.room_join
    assert not claims.video.room_admin and claims.identity
    person = await RoomPerson.join(opened["url"], opened["token"])
    try:
        await ask(person)
        await write(person)
        assert (opened["room"], 1) in participants(rooms)
        session = f"/session/{opened['session_id']}"
        assert rooms.call("GET", session).json()["connected"]
        assert rooms.call("POST", f"{session}/mute", json={"muted": True}).json()["muted"]
        await person.until(lambda: person.of("state")[-1]["muted"], "the mute")
        await person.say(WHAT)
        await person.send({"type": "mute", "muted": False})
        await person.until(lambda: not person.of("state")[-1]["muted"], "the sound to be on")
        assert len(person.of("transcript")) == 1
        ended: list[Any] = []
        person.room.on("disconnected", ended.append)
        assert rooms.call("DELETE", f"/rooms/{opened['room']}").status_code == 204
        await person.until(lambda: ended, "the end of the room")
    finally:
        await person.close()
    assert [turn["utterance"] for turn in rooms.turns(opened["session_id"])] == [WHAT] * 2
    assert rooms.call("GET", session).status_code == 404


async def test_who_has_joined_and_cannot_receive_data_yet_is_not_greeted(rooms: Rooms) -> None:
    # LiveKit drops data for such a participant: `ready` and the state would be lost.
    opened = rooms.open("livekit")
    session = f"/session/{opened['session_id']}"
    eventually(lambda: rooms.call("GET", session).json()["state"] == "listening", "a worker", WAIT_S)
    signalling = f"{opened['url']}/rtc?access_token={opened['token']}&protocol=12&auto_subscribe=1"
    async with connect(signalling):
        eventually(lambda: (opened["room"], 1) in participants(rooms), "the participant", WAIT_S)
        assert not any(rooms.call("GET", session).json()["connected"] for _ in range(50))
    again = rooms.open("livekit", session_id=opened["session_id"])
    person = await RoomPerson.join(again["url"], again["token"])
    try:
        await person.until(lambda: person.of("ready") and person.state == "listening", "the greeting")
    finally:
        await person.close()
    rooms.call("DELETE", session)


def participants(rooms: Rooms) -> list[tuple[str, int]]:
    return [(one["room"], one["participants"]) for one in rooms.call("GET", "/rooms").json()]


async def test_a_token_that_has_expired_opens_no_room(rooms: Rooms) -> None:
    opened = rooms.open("livekit")
    grants = api.VideoGrants(room_join=True, room=opened["room"])
    token = api.AccessToken(rooms.key, rooms.secret).with_identity("late").with_grants(grants)
    # LiveKit allows a minute of difference between clocks.
    late = token.with_ttl(timedelta(minutes=-5)).to_jwt()
    with pytest.raises(rtc.ConnectError):
        await RoomPerson.join(opened["url"], late)
    rooms.call("DELETE", f"/session/{opened['session_id']}")


def test_a_webhook_counts_only_with_the_signature_of_livekit(rooms: Rooms) -> None:
    opened = rooms.open("livekit")
    body = json.dumps({"event": "room_finished", "room": {"name": opened["room"]}})
    other = json.dumps({"event": "room_finished", "room": {"name": "voice-other"}})

    def post(signed: str, secret: str) -> int:
        digest = b64encode(hashlib.sha256(signed.encode()).digest()).decode()
        token = api.AccessToken(rooms.key, secret).with_sha256(digest).to_jwt()
        url = f"{rooms.url}/api/voice/livekit/webhook"
        return httpx.post(url, content=body, headers={"Authorization": token}).status_code

    session = f"/session/{opened['session_id']}"
    assert post(body, "another secret of more than 32 letters") == 403
    assert post(other, rooms.secret) == 403
    assert rooms.call("GET", session).status_code == 200
    assert post(body, rooms.secret) == 204
    assert rooms.call("GET", session).status_code == 404


async def test_a_person_asks_hears_and_comes_back_over_webrtc(rooms: Rooms) -> None:
    opened = rooms.open("webrtc")
    person = await PeerPerson.connect(opened["url"], opened["token"], rooms.home.headers)
    try:
        await ask(person)
        used = await PeerPerson.connect(opened["url"], opened["token"], rooms.home.headers)
        assert used.answer.json()["code"] == "voice.bad_token"
        await used.close()
    finally:
        await person.close()
    again = rooms.open("webrtc", session_id=opened["session_id"])
    person = await PeerPerson.connect(again["url"], again["token"], rooms.home.headers)
    try:
        await ask(person)
        await write(person)
    finally:
        await person.close()
    assert [turn["utterance"] for turn in rooms.turns(opened["session_id"])] == [WHAT] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "jitter_s"), [(0.05, 0.0), (0.15, 0.0), (0.05, 0.2)], ids=["5 %", "15 %", "5 %, 200 ms"]
)
async def test_on_a_bad_network_a_person_asks_and_hears_over_webrtc(
    rooms: Rooms, loss: float, jitter_s: float
) -> None:
    opened = rooms.open("webrtc")
    way = LossyWay(loss, jitter_s)
    person = await PeerPerson.connect(opened["url"], opened["token"], rooms.home.headers, way=way)
    try:
        await person.until(lambda: person.state == "listening", "a worker")
        way.is_bad = True
        # The text comes in whole: the channel of events sends again what was lost.
        await write(person)
        assert person.of("sound") and way.lost > 0
        sound_ms = 20 * len(person.of("sound"))
        assert sound_ms > 0.5 * sum(one["duration_ms"] for one in person.of("caption")) * (1 - loss)
        await say(person)
        await person.until(lambda: len(person.of("caption")) > 1, "the answer")
    finally:
        await person.close()
        way.close()
    assert abs(way.lost / (way.lost + way.passed) - loss) < 0.05
    turns = rooms.turns(opened["session_id"])
    assert turns[0]["utterance"] == WHAT and len(turns) == 2
    rooms.call("DELETE", f"/session/{opened['session_id']}")


async def see_it_speak(person: RoomPerson | PeerPerson, seen: list[Luma]) -> None:
    """Waits for a presenter who moves, and whose mouth moves more while they speak."""
    await person.until(lambda: person.state == "listening", "a worker")
    await person.until(lambda: len(seen) > 10, "pictures")
    silent = movement(seen[-10:])
    before = len(seen)
    await write(person)
    await person.until(lambda: len(seen) > before + 25, "pictures of the answer")
    assert movement(seen[before:]) > silent > 0
    assert {picture.shape for picture in seen} == {(360, 640)}
    assert not person.of("error")


def movement(pictures: Sequence[Luma]) -> float:
    """Returns how much the place of the mouth changes from picture to picture, on average."""
    mouths = [picture[190:250, 270:370].astype(float) for picture in pictures]
    return float(np.mean([np.abs(after - before).mean() for before, after in pairwise(mouths)]))


async def test_the_presenter_is_seen_speaking_in_a_room(rooms: Rooms) -> None:
    opened = rooms.open("livekit", video=True)
    assert opened["video"]
    person, seen = await RoomPerson.join(opened["url"], opened["token"]), list[Luma]()
    person.on_picture = lambda picture: seen.append(picture.copy())
    try:
        await see_it_speak(person, seen)
        count = len(seen)
        rooms.open("livekit", session_id=opened["session_id"])
        await asyncio.sleep(2)
        assert len(seen) < count + 25, "without a video no picture comes"
    finally:
        await person.close()
    rooms.call("DELETE", f"/session/{opened['session_id']}")


async def test_the_presenter_is_seen_speaking_over_webrtc(rooms: Rooms) -> None:
    opened = rooms.open("webrtc", video=True)
    seen: list[Luma] = []
    person = await PeerPerson.connect(
        opened["url"], opened["token"], rooms.home.headers, on_picture=lambda one: seen.append(one.copy())
    )
    try:
        await see_it_speak(person, seen)
    finally:
        await person.close()
    rooms.call("DELETE", f"/session/{opened['session_id']}")


async def test_what_was_heard_before_an_interruption_is_in_the_conversation(rooms: Rooms) -> None:
    opened = rooms.open("livekit")
    person = await RoomPerson.join(opened["url"], opened["token"])
    try:
        await person.until(lambda: person.state == "listening", "a worker")
        await say(person)
        await person.until(lambda: len(person.of("caption")) and len(after_caption(person)) > 20, "sound")
        await person.send({"type": "interrupt"})
        await person.until(lambda: person.of("played"), "what was heard")
    finally:
        await person.close()
    played = person.of("played")[0]["text"]
    # Before it there may be questions about words that were not clear.
    answer = person.events[person.kinds.index("transcript") :]
    caption = next(one["text"] for one in answer if one["type"] == "caption")
    assert played and caption.startswith(played) and played != caption
    assert f"(Interrupted after: “{played}”)" in rooms.turns(opened["session_id"])[0]["reply"]


async def test_a_revoked_key_ends_its_session_in_the_room(rooms: Rooms) -> None:
    keys = f"{rooms.url}/api/keys"
    headers, body = rooms.home.headers, {"name": "guest", "role": "editor"}
    created = (await asyncio.to_thread(httpx.post, keys, json=body, headers=headers)).json()
    guest = {"Authorization": f"Bearer {created['key']}"}
    address, request = f"{rooms.url}/api/voice/session", {"transport": "livekit"}
    answer = await asyncio.to_thread(httpx.post, address, json=request, headers=guest)
    assert answer.status_code == 201, answer.text
    opened = answer.json()
    person = await RoomPerson.join(opened["url"], opened["token"])
    try:
        await person.until(lambda: person.state == "listening", "a worker")
        ended: list[Any] = []
        person.room.on("disconnected", ended.append)
        revoked = await asyncio.to_thread(httpx.delete, f"{keys}/{created['id']}", headers=headers)
        assert revoked.is_success
        await person.until(lambda: ended, "the end of the room")
    finally:
        await person.close()
