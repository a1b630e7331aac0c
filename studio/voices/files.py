"""Takes in the file of a Piper voice: the worker looks into it and puts it among its weights."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from avatar.spec import PiperVoice
from pydantic import ValidationError

from soundstage.errors import Invalid, SoundstageError, TooLarge, Unavailable
from soundstage.programs import run_program
from studio.assets.upload import Upload
from studio.voices.schemas import VoiceFileView
from studio.voices.trials import PIPER

ENDING = ".onnx"
TIME_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class VoiceFiles:
    """`worker` is the command of the worker on this machine, `models` its folder of weights where the
    settings name one, `staging` a folder for files that are on their way.
    """

    worker: tuple[str, ...]
    models: Path | None
    staging: Path
    max_bytes: int

    async def receive(self, upload: Upload) -> VoiceFileView:
        """Adds the file of a form, whose field `card` is the voice's `.onnx.json`. Raises `voice.bad_file`,
        `upload.too_large`, `worker.not_found`, and the worker's `weights.*`.
        """
        await asyncio.to_thread(self.staging.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.staging) as folder:
            received = 0
            arriving = Path(folder) / "arriving"
            with arriving.open("wb") as file:
                async for chunk in upload.chunks():
                    received += len(chunk)
                    if received > self.max_bytes:
                        raise TooLarge(
                            "upload.too_large",
                            f"The voice is larger than {self.max_bytes >> 20} MiB.",
                            "Add it on the server: `soundstage models add --role piper.voice FILE`.",
                        )
                    await asyncio.to_thread(file.write, chunk)
            # The name and the card are complete once the file is.
            voice, card = voice_of(upload.filename), upload.fields.get("card", "")
            path = arriving.rename(arriving.with_name(f"{voice.voice}{ENDING}"))
            path.with_name(f"{path.name}.json").write_text(card, encoding="utf-8")
            added = await self._put_in_place(path)
        return VoiceFileView(voice=voice, sha256=added, licence=PIPER, language=_language(card))

    async def _put_in_place(self, path: Path) -> str:
        """Returns the SHA-256 of the file that the worker has pinned."""
        models = [] if self.models is None else [f"--models={self.models}"]
        arguments = ["models", "add", "--json", *models, "--role=piper.voice", "--", str(path)]
        try:
            ended = await run_program(*self.worker, *arguments, limit_s=TIME_LIMIT_S)
        except TimeoutError:
            raise _broken() from None
        except OSError as error:
            raise Unavailable(
                "worker.not_found",
                f"The worker {self.worker[0]} does not start: {error.strerror}.",
                "Run `make setup`, or set worker.command.",
            ) from error
        try:
            answer = json.loads(ended.output)
            if ended.code == 0:
                return str(answer["files"][0]["sha256"])
            # The worker's own words hold the path in its staging folder.
            message = str(answer["message"]).replace(f"{path.parent}/", "")
            raise Invalid("voice.bad_file", message, str(answer["hint"]))
        except (ValueError, LookupError, TypeError) as error:
            raise _broken() from error


def voice_of(filename: str) -> PiperVoice:
    """Returns the voice that a file is called. Raises Invalid `voice.bad_file`."""
    name = filename.removesuffix(ENDING)
    try:
        if name == filename:
            raise ValueError("no .onnx")
        return PiperVoice(voice=name)
    except (ValidationError, ValueError) as error:
        raise Invalid(
            "voice.bad_file",
            f"{filename[:80]!r} is not the name of a Piper voice.",
            "Send a file such as en_US-amy-medium.onnx, and its .onnx.json as `card`.",
        ) from error


def _language(card: str) -> str:
    """Returns the language that the card names, in the form of scenes; empty where it names none."""
    try:
        found = json.loads(card)
        return str(found["language"]["code"] if "language" in found else found["espeak"]["voice"]).lower()
    except (ValueError, LookupError, TypeError):
        return ""


def _broken() -> SoundstageError:
    return Unavailable(
        "voice.not_added",
        "The worker did not say what became of the voice.",
        "Add it on the server: `soundstage models add --role piper.voice FILE`.",
    )
