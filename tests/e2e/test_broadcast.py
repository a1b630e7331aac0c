"""A presenter is broadcast over RTMP by commands, says what is given to them, and outlives their worker."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from ports import free_port
from program_inputs import PROGRAM
from ready import told_until_ready
from waiting import eventually

pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: run `uv sync --inexact --extra voice`")
pytestmark = pytest.mark.cached(*PROGRAM)

WAIT_S = 90
KEY = "a-stream-key"


class Receiver:
    """Listens for one publisher after the other, and notes what it decodes."""

    def __init__(self, port: int) -> None:
        self.address = f"rtmp://127.0.0.1:{port}/live/{KEY}"
        self.mouths: list[Any] = []
        self.loudness: list[float] = []
        self.publishers = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            with suppress(av.error.FFmpegError, OSError):
                options = {"listen": "1", "timeout": str(2 * WAIT_S)}
                with av.open(self.address, options=options) as container:
                    self.publishers += 1
                    self._decode(container)
            time.sleep(0.1)

    def _decode(self, container: Any) -> None:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                assert (frame.width, frame.height) == (640, 360)
                self.mouths.append(frame.to_ndarray(format="gray")[190:250, 270:370].astype(float))
            else:
                self.loudness.append(float(np.abs(frame.to_ndarray()).max()))


def test_a_presenter_is_broadcast_and_says_what_they_are_given(
    installation: type[Any], tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "key").write_text(KEY)
    receiver = Receiver(port)
    home = installation(tmp_path)
    (home.path / "config.toml").write_text(
        f'[voice]\nvideo_height = 360\n[voice.broadcasts.wall]\nurl = "rtmp://127.0.0.1:{port}/live"\n'
        f'key_file = "{tmp_path / "key"}"\n'
    )
    start = partial(
        home.start,
        "up",
        "--json",
        SOUNDSTAGE_VOICE__ENABLED="true",
        SOUNDSTAGE_PROVISIONING__ENABLED="false",
    )
    process = start()
    url = told_until_ready(process, home.log)["url"]

    def status() -> Any:
        return httpx.get(f"{url}/api/voice/status", headers=home.headers, timeout=WAIT_S).json()

    def broadcasts() -> Any:
        return json.loads(home.run("live", "list", "--json").stdout)

    try:
        eventually(lambda: status()["workers"] == 1, "a worker", WAIT_S)
        refused = home.run("live", "start", "--to", "nowhere")
        assert refused.returncode and "voice.no_target" in refused.stderr
        begun = home.run("live", "start", "--to", "wall", "--presenter", "vera")
        assert "Live: vera to wall" in begun.stdout, begun.stderr
        busy = home.run("live", "start", "--to", "wall")
        assert "voice.target_busy" in busy.stderr
        assert broadcasts()[0]["state"] == "live"
        eventually(lambda: len(receiver.mouths) > 20 and len(receiver.loudness) > 20, "pictures", WAIT_S)
        assert max(receiver.loudness) < 0.01, "silence"
        home.run("live", "say", "Good morning. Bob may move my arm above the map.", "--broadcast", "wall")
        eventually(lambda: max(receiver.loudness) > 0.1, "speech", WAIT_S)
        before = len(receiver.mouths)
        eventually(lambda: len(receiver.mouths) > before + 20, "pictures of it", WAIT_S)
        silent, speaking = receiver.mouths[:20], receiver.mouths[before:]
        assert np.stack(speaking).std(axis=0).max() > np.stack(silent).std(axis=0).max(), "the lips move"
        # The stream key is a secret: neither shown nor logged.
        assert KEY not in json.dumps(broadcasts()) + home.log.read_text()
        home.run("live", "stop", "wall")
        assert broadcasts() == []
        again = home.run("live", "say", "Hello?")
        assert "live.not_found" in again.stderr
        home.run("live", "start", "--to", "wall")
        eventually(lambda: receiver.publishers == 2, "the second broadcast", WAIT_S)
        (second,) = broadcasts()
        process.kill()
        process.wait(WAIT_S)
        process = start()
        told_until_ready(process, home.log)
        eventually(lambda: receiver.publishers == 3, "the same one after a restart", WAIT_S)
        eventually(lambda: broadcasts()[0]["state"] == "live", "a connected target", WAIT_S)
        assert [one["id"] for one in broadcasts()] == [second["id"]]
    finally:
        process.terminate()
        process.wait(120)
    assert KEY not in home.log.read_text()
