"""A double of OpenAI's `POST /v1/audio/transcriptions`: real multipart, WAV and `verbose_json` over HTTP.

Like the service it refuses a wrong key (401), a model it does not have (404) and a file that is no sound
(400), each with `{"error": {…}}`. Its words are `text` of the double, spread over the length of the sound.
Form: the reference of `audio/createTranscription` at platform.openai.com.
"""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from socket_servers import on_loopback

KEY = "sk-of-the-test"
MODEL = "whisper-1"


@dataclass
class TranscriptionServer:
    """`text` is what it hears; `words`: whether it gives their times, as not all servers do."""

    text: str = "hello everybody and welcome"
    words: bool = True
    logprob: float = -0.1
    status: int = 200
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: Request) -> JSONResponse:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "Incorrect API key provided")
        if self.status != 200:
            return _error(self.status, "The server had an error")
        async with request.form() as form:
            if form.get("model") != MODEL:
                return _error(404, f"The model {form.get('model')} does not exist")
            upload = form["file"]
            content = await upload.read() if not isinstance(upload, str) else b""
            self.requests.append(
                {
                    "format": form.get("response_format"),
                    "granularities": form.getlist("timestamp_granularities[]"),
                    "language": form.get("language"),
                }
            )
        try:
            with wave.open(io.BytesIO(content)) as file:
                seconds = file.getnframes() / file.getframerate()
        except (wave.Error, EOFError):
            return _error(400, "Invalid file format")
        return JSONResponse(self._verbose(seconds))

    def _verbose(self, seconds: float) -> dict[str, Any]:
        texts = self.text.split()
        step = seconds / max(1, len(texts))
        segment = {
            "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": f" {self.text}", "tokens": [],
            "temperature": 0.0, "avg_logprob": self.logprob, "compression_ratio": 1.0, "no_speech_prob": 0.01,
        }  # fmt: skip
        found: dict[str, Any] = {
            "task": "transcribe", "language": "english", "duration": seconds, "text": self.text,
            "segments": [segment],
        }  # fmt: skip
        if self.words:
            found["words"] = [
                {"word": word, "start": round(at * step, 2), "end": round((at + 1) * step, 2)}
                for at, word in enumerate(texts)
            ]
        return found


def _error(status: int, message: str) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status)


@asynccontextmanager
async def transcription_server() -> AsyncIterator[TranscriptionServer]:
    server = TranscriptionServer()
    app = FastAPI()

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> JSONResponse:
        return await server.answer(request)

    async with on_loopback(app) as address:
        server.base_url = f"http://{address}/v1"
        yield server
