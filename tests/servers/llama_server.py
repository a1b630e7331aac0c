"""A real llama.cpp server on loopback, with models of `tiny_gguf`; used by tests of the agent and the jobs.

with llama_server(programs, model, folder) as server:
    ... server.base_url
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
HOW = "needs llama.cpp's server: run scripts/llama_server (some five minutes, once), then make test-long"


def llama_programs() -> Path | None:
    """The folder with llama-server and ggml-rpc-server, once scripts/llama_server has built them."""
    found = subprocess.run(
        [ROOT / "scripts/llama_server", "--there"], capture_output=True, text=True, check=False
    )
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@dataclass(frozen=True)
class LlamaServer:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Meanwhile it does nothing; who connects waits."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def slots(self) -> list[dict[str, Any]]:
        """What each place for an answer does."""
        answer = httpx.get(f"{self.url}/slots", trust_env=False)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def health(self) -> tuple[int, Any]:
        """Status and body; 0 and none while nobody listens."""
        # Not httpx: to make its client takes longer than a small model is loaded.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError:
            return 0, None
        finally:
            connection.close()

    def wait_for(self, status: int) -> Any:
        """The body of the first answer with this status."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"llama-server ended:\n{self.log.read_text()[-3000:]}")
            code, body = self.health()
            if code == status:
                return body
            time.sleep(0.002)
        raise RuntimeError(f"llama-server did not answer with {status}:\n{self.log.read_text()[-3000:]}")


@contextmanager
def llama_server(
    programs: Path,
    model: Path,
    folder: Path,
    *arguments: str,
    context: int = 16384,
    environment: Mapping[str, str] | None = None,
    loaded: bool = True,
) -> Iterator[LlamaServer]:
    """As jobs/llm-expert.nomad.hcl starts it. `loaded`: waits until it has its weights."""
    port = free_port()
    command = [
        *(str(programs / "llama-server"), "--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(model), "--alias", model.stem, "--ctx-size", str(context), "--parallel", "1"),
        *("--n-gpu-layers", "0", "--jinja", "--no-webui", "--threads", "1", *arguments),
    ]
    log = folder / f"llama-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    server = LlamaServer(port, process, log)
    try:
        if loaded:
            server.wait_for(200)
        yield server
    finally:
        process.kill()
        process.wait(WAIT_S)
