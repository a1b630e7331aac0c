"""A speech service that clones voices, as far as `/v1/audio/voices` goes, and misbehaves on demand.

It speaks as vLLM-Omni does (docs/serving/speech_api.md, "Voices Endpoint") or, with `names_id`, as OpenAI:
there the answer is an `audio.voice` with an id. Worker and control side are tested against the same one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

VOICES = "/v1/audio/voices"
FORMATS = (
    "audio/wav",
    "audio/x-wav",
    "audio/mpeg",
    "audio/flac",
    "audio/ogg",
    "audio/aac",
    "audio/webm",
    "audio/mp4",
)


@dataclass
class VoiceServer:
    """`voices` are the uploaded ones by what they are called; `status` is what it says next instead of yes.

    `fault` breaks the next upload: "cut" keeps the voice and breaks the line, "vague" answers with no name,
    "slow" waits until it may `go_on`.
    """

    url: str = ""
    voices: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: list[str | None] = field(default_factory=list)
    status: int = 200
    names_id: bool = False
    deletes: bool = True
    clones: bool = True
    fault: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)


def _handler(service: VoiceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            service.keys.append(self.headers.get("Authorization"))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != VOICES or not service.clones:
                return self._say(404, {"detail": "Not Found"})
            if service.status != 200:
                told = f"no room for {self.headers.get('Authorization')}"
                return self._say(service.status, {"error": {"message": told}})
            form, kind = _form(self.headers["Content-Type"], body)
            if not {"name", "audio_sample", "consent"} <= form.keys() or kind not in FORMATS:
                return self._say(422, {"detail": f"a field is missing, or the sample is {kind}"})
            fault, service.fault = service.fault, ""
            if fault == "slow":
                service.go_on.wait(60)
            name = form["name"].decode().lower()
            voice_id = f"voice_{name}" if service.names_id else name
            service.voices[voice_id] = {**form, "kind": kind.encode()}
            if fault == "cut":
                self.close_connection = True
                return self.connection.close()
            if fault == "vague":
                return self._say(200, {"success": "perhaps"})
            if service.names_id:
                made = {"object": "audio.voice", "id": voice_id, "name": name, "created_at": 1}
                return self._say(200, made)
            told_voice = {"name": name, "consent": form["consent"].decode(), "mime_type": kind}
            self._say(200, {"success": True, "voice": told_voice})

        def do_GET(self) -> None:
            uploaded = [{"name": name} for name in service.voices]
            listed = {"voices": ["vivian", *service.voices], "uploaded_voices": uploaded}
            there = self.path == VOICES and service.deletes and service.clones
            self._say(200 if there else 404, listed)

        def do_DELETE(self) -> None:
            if service.status != 200:
                return self._say(service.status, {})
            name = unquote(self.path.rpartition("/")[2])
            gone = service.voices.pop(name, None) if service.deletes else None
            self._say(404 if gone is None else 200, {"success": gone is not None})

        def _say(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


def _form(kind: str, body: bytes) -> tuple[dict[str, bytes], str]:
    """The fields, and what the sample says it is."""
    parsed: Message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
    )
    parts, sample_kind = {}, ""
    for part in parsed.iter_parts():  # type: ignore[attr-defined]
        name = str(part.get_param("name", header="content-disposition"))
        parts[name] = part.get_payload(decode=True)
        if name == "audio_sample":
            sample_kind = part.get_content_type()
    return parts, sample_kind


@contextmanager
def voice_server() -> Iterator[VoiceServer]:
    state = VoiceServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
