"""Stands for a chat or pager that Alertmanager posts to: `alert_receiver.py ADDRESS PORT FILE [STATUS]`.

Each post becomes a line of FILE (JSON: path, authorization, body); the answer is STATUS, 200 unless given.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS, PORT, FILE = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
STATUS = int(sys.argv[4]) if len(sys.argv) > 4 else 200


class Receiver(BaseHTTPRequestHandler):
    """Writes down each post."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        line = {"path": self.path, "authorization": self.headers["Authorization"], "body": body}
        with FILE.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(STATUS)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


ThreadingHTTPServer((ADDRESS, PORT), Receiver).serve_forever()
