"""The guided step of `soundstage voices add` for a voice file or a service: licence, sample, presenter."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.words import segment

if TYPE_CHECKING:
    from app.cli.printing import Printer
    from app.cli.studio_api import StudioApi

VOICE_FILE = ".onnx"
SERVICES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class TrialOptions:
    """Holds what the options of the command say. `listen` is where the sample goes."""

    persona: str | None
    accept_licence: bool
    listen: Path
    voice: str | None = None
    model: str | None = None
    key_env: str | None = None
    text: str | None = None
    language: str | None = None


def is_trial(source: str) -> bool:
    """Returns whether a source is a voice file or a service; else it is a sample to be cloned."""
    return source.endswith(VOICE_FILE) or source.startswith(SERVICES)


async def try_voice(api: StudioApi, source: str, options: TrialOptions, printer: Printer) -> dict[str, Any]:
    """Adds the file, has a sample spoken, and gives the voice to the presenter where its licence is accepted.

    Raises Invalid `file.unreadable`, `weights.*`, `voice.*`, `speech.*`, `persona.*`.
    """
    if source.startswith(SERVICES):
        voice: dict[str, Any] = {"kind": "openai", "base_url": source, "api_key_env": options.key_env}
        voice |= {"voice": options.voice} if options.voice else {}
        voice |= {"model": options.model} if options.model else {}
        language = options.language
    else:
        file = Path(source)
        card = read_card(file)
        added = await api.post_form("/api/voices/files", file, {"card": card})
        voice, language = added["voice"], options.language or added["language"].replace("_", "-")
        printer.line(f"{file.name} is among the weights of the worker (SHA-256 {added['sha256'][:12]}…).")
        if model_card := read_model_card(file):
            printer.line(model_card)
    draft = {"voice": voice, "text": options.text, "language": language or "en-us"}
    trial: dict[str, Any] = await api.post("/api/voices/trials", draft)
    licence = trial["licence"]
    printer.line(f"Licence: {licence['name']}. {licence['limits']}")
    options.listen.write_bytes(base64.b64decode(trial.pop("wav_base64")))
    printer.line(f"A sample of {trial['duration_ms'] / 1000:.1f} s is in {options.listen}: {trial['text']}")
    trial |= {"sample": str(options.listen), "persona": None}
    if options.persona is None:
        return trial
    body = {"voice": trial["voice"], "licence_accepted": options.accept_licence}
    persona = await api.put(f"/api/personas/{segment(options.persona)}/voice", body)
    return trial | {"persona": persona["id"]}


def read_card(file: Path) -> str:
    """Returns the text of the `.onnx.json` beside a voice file. Raises Invalid `file.unreadable`."""
    from soundstage.errors import Invalid

    for path in (file, file.with_name(f"{file.name}.json")):
        if not path.is_file():
            raise Invalid(
                "file.unreadable",
                f"There is no file {path}.",
                "A Piper voice is an .onnx with its .onnx.json beside it: fetch both.",
            )
    return file.with_name(f"{file.name}.json").read_text(encoding="utf-8", errors="replace")


def read_model_card(file: Path) -> str:
    """Returns the lines of the MODEL_CARD beside a voice file that name its data and licence, or nothing."""
    path = file.with_name("MODEL_CARD")
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line.strip(" *#") for line in lines if ":" in line]
    labels = ("licen", "url", "dataset", "finetuned", "trained")
    return "\n".join(f"MODEL_CARD: {line}" for line in named if line.lower().startswith(labels))
