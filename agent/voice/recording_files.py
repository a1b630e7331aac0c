"""Files of a recording: a description, a line for each sentence, and its sound as WAV; see `recordings`."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time
import wave
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from agent.transcription.recognition import wav_of
from agent.voice.schemas import Recorded
from policy import Principal
from soundstage.one_line import OneLine

_DESCRIPTION, _ENTRIES, _FAILED = "recording.json", "entries.jsonl", "failed"


class Description(BaseModel):
    """Names whose recording it is."""

    session_id: str
    principal: Principal
    with_person: bool
    began_at: datetime


class Entry(BaseModel):
    """One sentence or utterance, `began_at` in Unix time, with the presenter of that moment. `sound`: its
    file; "" for what was written, or is not to be heard.
    """

    side: Literal["agent", "person"]
    persona_id: str
    text: OneLine
    began_at: float
    seconds: float = 0.0
    sound: str = ""

    @property
    def ended_at(self) -> float:
        return self.began_at + self.seconds


@dataclass(eq=False)
class Recording:
    """The recording of a session. It has ended where `goes_on` is False, and its video is not queued yet."""

    folder: Path
    with_person: bool
    goes_on: bool = True
    entries: int = 0
    part: list[Entry] = field(default_factory=list)
    """The sentences of the last scene."""
    parts: int = 0
    began_at: float = field(default_factory=time.time)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_all: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker has sent everything."""


def create(folder: Path, description: Description) -> None:
    """Creates the folder of a recording; nobody else on this machine reads it."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    (folder / _DESCRIPTION).write_text(description.model_dump_json())


def write(folder: Path, number: int, recorded: Recorded, persona_id: str, *, with_sound: bool) -> Entry:
    """Adds a sentence. Raises OSError, and ValueError for sound that is no base64."""
    pcm = base64.b64decode(recorded.sound, validate=True) if with_sound else b""
    pcm = pcm[: len(pcm) // 2 * 2]
    entry = Entry(side=recorded.side, persona_id=persona_id, text=recorded.text, began_at=recorded.began_at)
    if pcm:
        entry.sound, entry.seconds = f"{number}.wav", len(pcm) / (2 * recorded.sample_hz)
        (folder / entry.sound).write_bytes(wav_of(pcm, recorded.sample_hz))
    with (folder / _ENTRIES).open("a") as file:
        file.write(f"{entry.model_dump_json()}\n")
    return entry


def describe(folder: Path) -> Description:
    """Raises OSError and ValueError for what cannot be read."""
    return Description.model_validate_json((folder / _DESCRIPTION).read_text())


def read(folder: Path) -> Sequence[Entry]:
    """Returns the sentences of a recording in the order in which they began. What was cut off by a full disk
    or a killed process is left out.
    """
    path = folder / _ENTRIES
    found = []
    for line in path.read_text().split("\n") if path.exists() else ():
        with suppress(ValueError, OSError, EOFError, wave.Error):
            entry = Entry.model_validate_json(line)
            if entry.sound:
                read_sound(folder, entry)
            found.append(entry)
    return sorted(found, key=lambda one: one.began_at)


def read_sound(folder: Path, entry: Entry) -> tuple[NDArray[np.int16], int]:
    """Returns the samples of a sentence, and how many there are in a second."""
    with wave.open(str(folder / entry.sound)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def folders(parent: Path) -> Sequence[Path]:
    """Returns the recordings below a folder, the oldest first."""
    return sorted(one for one in parent.iterdir() if one.is_dir()) if parent.is_dir() else []


def delete(folder: Path) -> None:
    """Deletes a recording. Where that is cut off nobody takes the rest for a recording."""
    (folder / _DESCRIPTION).unlink(missing_ok=True)
    shutil.rmtree(folder)


def is_described(folder: Path) -> bool:
    """Returns whether a folder is a recording, and no rest of one."""
    return (folder / _DESCRIPTION).is_file()


def failing_s(folder: Path) -> float:
    """Returns for how many seconds no video could be made of a recording; begins to count if need be."""
    mark = folder / _FAILED
    if not mark.exists():
        mark.touch()
    return time.time() - mark.stat().st_mtime
