"""A speech service on this machine that speaks the real wire forms and misbehaves on demand.

In a test's own process it is `running_service`; as a program, which `jobs/tts.nomad.hcl` can run, it is
`speech_service.py FOLDER` with HOST and PORT in its environment.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from avatar.spec import Scene
from avatar.speech import speak
from recordings import samples_of


@dataclass
class SpeechService:
    """The requests to the service, and the faults of its next answers. While its folder holds a
    file named `ill`, its `/health` answers 503.
    """

    url: str = ""
    requests: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rate_hz: int = 24_000
    folder: Path = Path()

    def sound(self, text: str) -> bytes:
        """Real speech, so that alignment has something to align, at the service's rate."""
        spoken = speak(
            Scene(id="s", script=text.replace("[", "(").replace("*", ""), lead_in_ms=50, tail_ms=80),
            self.folder / str(len(self.requests)),
            lambda ref: Path(),
        )
        samples = samples_of(spoken.wav)
        count = len(samples) * self.rate_hz // spoken.sample_rate_hz
        moved = np.interp(np.linspace(0, len(samples) - 1, count), np.arange(len(samples)), samples)
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(2)
            target.setframerate(self.rate_hz)
            target.writeframes(moved.astype("<i2").tobytes())
        return buffer.getvalue()


def _handler(service: SpeechService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ill = (service.folder / "ill").exists()
            self._answer((503 if ill else 200) if self.path == "/health" else 404, "text/plain", b"")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.requests.append((self.path, body, self.headers.get("Authorization")))
            fault = service.faults.pop(0) if service.faults else ""
            if fault.isdigit():
                self._answer(int(fault), "application/json", self._complaint())
            elif fault == "slow":
                time.sleep(1.0)
                self._answer(200, "audio/wav", b"")
            elif fault == "garbage":
                self._answer(200, "audio/wav", b"this is no sound at all" * 50)
            elif fault == "endless refusal":
                self._without_end(400, "application/json", b" " * 65536)
            elif fault == "packed":
                self._answer(200, "audio/wav", gzip.compress(bytes(1 << 20)), "gzip")
            elif fault == "page":
                self._answer(200, "text/html", b"<html>welcome</html>")
            elif fault == "empty":
                self._answer(200, "audio/wav", b"")
            else:
                text = body.get("input", body.get("text", ""))
                self._sound(service.sound(text), fault)

        def _complaint(self) -> bytes:
            return json.dumps(
                {"error": {"message": f"bad voice for {self.headers.get('Authorization')}"}}
            ).encode()

        def _sound(self, wav: bytes, fault: str) -> None:
            if fault == "cut":
                self.send_response(200)
                self.send_header("Content-Type", "audio/wav")
                self.send_header("Content-Length", str(len(wav)))
                self.end_headers()
                self.wfile.write(wav[: len(wav) // 2])
                self.close_connection = True
            elif fault == "cut without length":
                self.send_response(200)
                self.send_header("Content-Type", "audio/wav")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(wav[: len(wav) // 2])
                self.close_connection = True
            elif fault == "streamed":
                # A server that starts to answer before it knows the length.
                wav = wav[:4] + b"\xff\xff\xff\xff" + wav[8:40] + b"\xff\xff\xff\xff" + wav[44:]
                self._answer(200, "audio/wav", wav)
            else:
                self._answer(200, "audio/wav", wav)

        def _without_end(self, status: int, kind: str, part: bytes) -> None:
            """Until the other side goes away."""
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                while True:
                    self.wfile.write(part)

        def _answer(self, status: int, kind: str, body: bytes, encoding: str = "") -> None:
            self.send_response(status)
            if encoding:
                self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0.2")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def running_service(folder: Path) -> Iterator[SpeechService]:
    state = SpeechService(folder=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def main() -> None:
    state = SpeechService(folder=Path(sys.argv[1]))
    place = os.environ["HOST"], int(os.environ["PORT"])
    ThreadingHTTPServer(place, _handler(state)).serve_forever()


if __name__ == "__main__":
    main()
