"""The provisioning process under systemd: it is given its sockets, and nobody holds its standard input."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

PATIENCE_S = 120.0


def test_it_runs_without_standard_input_and_ends_in_good_order_when_it_is_told_to(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as tls:
        numbers = (plain.fileno(), tls.fileno())
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "app.provisioning_server", "--alone"),
                *("--socket", str(numbers[0]), "--tls-socket", str(numbers[1])),
            ],
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state")},
            pass_fds=numbers,
        )
        try:
            url = f"http://127.0.0.1:{plain.getsockname()[1]}/api/health"
            assert httpx.get(url, timeout=PATIENCE_S, trust_env=False).is_success
            process.send_signal(signal.SIGTERM)
            # systemd counts both as an end in good order.
            assert process.wait(PATIENCE_S) in (0, -signal.SIGTERM)
        finally:
            process.kill()
            process.wait()


def test_one_socket_without_the_other_is_refused() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app.provisioning_server", "--socket", "3"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 2
    assert "given together" in ended.stderr
