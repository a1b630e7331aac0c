"""A person in a LiveKit room who asks one question aloud: `room_talk.py URL TOKEN SENTENCE`.

Prints as JSON the transcript, captions of the answer, pieces of sound, the time to the first one, and the
number of pictures that show the presenter.
The authority of the server is in SSL_CERT_FILE.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from room_person import RoomPerson

URL, TOKEN, SENTENCE = sys.argv[1:4]
ATTEMPTS = 3
PICTURE_S = 60


def after(person: RoomPerson, ended_s: float) -> list[float]:
    """Returns when sound of the agent came, after a moment."""
    return [one["at_s"] for one in person.of("sound") if one["at_s"] > ended_s]


async def talk() -> dict[str, object]:
    person = await RoomPerson.join(URL, TOKEN)
    pictures: list[float] = []
    person.on_picture = lambda luma: pictures.append(float(luma.std()))
    try:
        await person.until(lambda: person.state == "listening", "the worker", 120)
        with suppress(AssertionError):
            await person.until(lambda: len(pictures) > 5, "the presenter", PICTURE_S)
        for _ in range(ATTEMPTS):
            count = len(person.of("transcript")) + len(person.of("unclear"))
            _, ended_s = await person.say(SENTENCE)
            await person.until(
                lambda before=count: len(person.of("transcript")) + len(person.of("unclear")) > before,
                "words",
            )
            if person.of("transcript"):
                break
            await person.until(lambda: person.state == "listening", "the end of the question")
        # A question to repeat it was audible before.
        await person.until(lambda: after(person, ended_s), "the answer", 120)
        await person.until(lambda: person.state == "listening", "the end of the answer", 120)
    finally:
        await person.close()
    first_s = after(person, ended_s)[0] - ended_s
    return {
        "first_sound_s": round(first_s, 2),
        "transcript": [one["text"] for one in person.of("transcript")],
        "captions": [one["text"] for one in person.of("caption")],
        "sounds": len(person.of("sound")),
        "pictures": sum(contrast > 10 for contrast in pictures),
        "errors": [one["message"] for one in person.of("error")],
    }


print(json.dumps(asyncio.run(talk())), flush=True)
# The threads of LiveKit's client panic while the interpreter ends.
os._exit(0)
