"""A speech service whose answers are late: `slow_speech.py PORT SECONDS`, on this machine alone.

It answers any `POST /v1/audio/speech` with a second of a tone, as WAV.
"""

from __future__ import annotations

import io
import sys
import time
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, DELAY_S = int(sys.argv[1]), float(sys.argv[2])
RATE_HZ = 24_000


def build_tone() -> bytes:
    """Returns a second of 200 Hz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes((b"\x00\x10" * 60 + b"\x00\xf0" * 60) * (RATE_HZ // 120))
    return file.getvalue()


SOUND = build_tone()


class Speech(BaseHTTPRequestHandler):
    """Answers late."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(DELAY_S)
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Content-Length", str(len(SOUND)))
        self.end_headers()
        self.wfile.write(SOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


ThreadingHTTPServer(("127.0.0.1", PORT), Speech).serve_forever()
