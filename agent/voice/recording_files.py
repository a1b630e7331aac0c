"""Files of a recording: a description, a line for each sentence, and its sound as WAV; see `recordings`."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from agent.voice.schemas import Recorded

_DESCRIPTION, _ENTRIES = "recording.json", "entries.jsonl"


class Description(BaseModel):
    """Whose recording it is."""

    session_id: str
    tenant: str
    principal_id: str
    principal_name: str
    with_person: bool
    began_at: datetime


class Entry(BaseModel):
    """One sentence or utterance, `began_at` in Unix time, with the presenter of that moment. `sound`: its
    file; "" for what was written, or is not to be heard.
    """

    side: Literal["agent", "person"]
    persona_id: str
    text: str
    began_at: float
    seconds: float = 0.0
    sound: str = ""

    @property
    def ended_at(self) -> float:
        return self.began_at + self.seconds


@dataclass(eq=False)
class Recording:
    """A recording that goes on."""

    folder: Path
    with_person: bool
    entries: int = 0
    began_at: float = field(default_factory=time.time)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def create(folder: Path, description: Description) -> None:
    """Creates the folder of a recording; nobody else on this machine reads it."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    (folder / _DESCRIPTION).write_text(description.model_dump_json())


def write(folder: Path, number: int, recorded: Recorded, persona_id: str, *, with_sound: bool) -> None:
    """Adds a sentence."""
    pcm = base64.b64decode(recorded.sound) if with_sound else b""
    pcm = pcm[: len(pcm) // 2 * 2]
    entry = Entry(side=recorded.side, persona_id=persona_id, text=recorded.text, began_at=recorded.began_at)
    if pcm:
        entry.sound, entry.seconds = f"{number}.wav", len(pcm) / (2 * recorded.sample_hz)
        (folder / entry.sound).write_bytes(to_wav(np.frombuffer(pcm, "<i2"), recorded.sample_hz))
    with (folder / _ENTRIES).open("a") as file:
        file.write(entry.model_dump_json() + "\n")


def read(folder: Path) -> tuple[Description, Sequence[Entry]]:
    """Returns a recording, its sentences in the order in which they began. A last line that was cut off is
    left out.
    """
    description = Description.model_validate_json((folder / _DESCRIPTION).read_text())
    path = folder / _ENTRIES
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return description, sorted(map(Entry.model_validate_json, lines), key=lambda one: one.began_at)


def read_sound(folder: Path, entry: Entry) -> tuple[NDArray[np.int16], int]:
    """Returns the samples of a sentence, and how many there are in a second."""
    with wave.open(str(folder / entry.sound)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def to_wav(samples: NDArray[np.int16], sample_hz: int) -> bytes:
    """Returns mono samples as a WAV file."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return written.getvalue()


def folders(parent: Path) -> Sequence[Path]:
    """Returns the recordings below a folder, the oldest first."""
    if not parent.is_dir():
        return []
    return sorted(one for one in parent.iterdir() if (one / _DESCRIPTION).is_file())


def delete_older(folder: Path, age_s: float) -> bool:
    """Deletes a recording whose last sentence is older; returns whether it did."""
    if not folder.is_dir() or time.time() - folder.stat().st_mtime <= age_s:
        return False
    shutil.rmtree(folder)
    return True
