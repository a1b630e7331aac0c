"""A server with a voice worker, and persons who talk to it over WebSockets; for tests of voice sessions."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from ready import told_until_ready
from voice_person import Person
from waiting import eventually
from websockets.asyncio.client import connect

WAIT_S = 60


class Installation:
    """A server with a voice worker."""

    def __init__(self, url: str, headers: dict[str, str], process: int) -> None:
        self.url = url
        self.headers = headers
        self.process = process
        self.home: Any = None

    def worker(self) -> int:
        """Returns the process id of the voice worker."""
        command = ["pgrep", "-P", str(self.process), "-f", "app.voice_worker"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=self.headers, timeout=WAIT_S)

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}", headers=self.headers, timeout=WAIT_S).json()

    def metric(self, name: str) -> float:
        """Returns a metric without labels as Prometheus reads it."""
        page = httpx.get(f"{self.url}/metrics", headers=self.headers, timeout=WAIT_S).raise_for_status().text
        lines = (line.split() for line in page.splitlines())
        return next(float(value) for first, value, *_ in lines if first == f"soundstage_{name}")

    def open(self, **more: Any) -> dict[str, Any]:
        answer = self.post("/api/voice/session", {"user_id": "me", "agent_id": "nova", **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @asynccontextmanager
    async def talk(self, opened: dict[str, Any]) -> AsyncIterator[Person]:
        url = f"{opened['url']}?token={opened['token']}"
        async with connect(url, additional_headers=self.headers) as socket:
            person = Person(socket)
            try:
                await person.until(lambda: person.state == "listening", "a worker")
                yield person
            finally:
                await person.close()


def installation_with_voice(home: Any, **settings: str) -> Iterator[Installation]:
    """Starts a server with a voice worker, and ends both."""
    process = home.start(
        "up", "--json", SOUNDSTAGE_VOICE__ENABLED="true", SOUNDSTAGE_PROVISIONING__ENABLED="false", **settings
    )
    url = told_until_ready(process, home.log)["url"]
    found = Installation(url, home.headers, process.pid)
    opened = eventually(
        lambda: (answer := found.post("/api/voice/session", {})).status_code == 201 and answer,
        "a worker",
        WAIT_S,
    )
    httpx.delete(f"{url}/api/voice/session/{opened.json()['session_id']}", headers=home.headers)
    found.home = home
    yield found
    process.terminate()
    process.wait(120)
