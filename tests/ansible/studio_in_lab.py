"""`soundstage up` beside the lab's machines, set up as docs/guide/cluster.md says; for test_journey.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import waiting
from farm_in_lab import LabFarm

from lab.plan import GATEWAY

PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 600.0
PORT = 8000
URL = f"http://{GATEWAY}:{PORT}"
# As in the guide, with the farm's secrets where the playbook has made them.
CONFIG = """\
[http]
host = "{host}"
port = {port}

[provisioning]
enabled = false

[farm]
scheduler = "nomad"
control_url = "{url}"

[farm.nomad]
address = "{nomad}"
token_file = "{secrets}/nomad/tokens/soundstage.token"
ca_file = "{secrets}/tls/ca.pem"
client_cert_file = "{secrets}/tls/operator.pem"
client_key_file = "{secrets}/tls/operator-key.pem"
worker_volume = "soundstage"
cache_volume = "soundstage-cache"
"""
# A presenter whose face wants a card of 16 GiB.
PERSONA = """\
id: grand
name: Grand
face: {kind: rig, character: nova}
requirements: {gpus: 1, vram_mib: 16384}
"""

T = TypeVar("T")
eventually = partial(waiting.eventually, within_s=PATIENCE_S, pause_s=0.2)


class Studio:
    """One installation, on the lab's own address. `home` keeps its state and the videos."""

    def __init__(self, farm: LabFarm, home: Path, nomad: str) -> None:
        self.farm = farm
        self.home = home
        (home / "personas").mkdir(parents=True)
        (home / "personas" / "grand.yaml").write_text(PERSONA)
        config = CONFIG.format(host=GATEWAY, port=PORT, url=URL, nomad=nomad, secrets=farm.secrets)
        (home / "config.toml").write_text(config)
        self._up: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """`soundstage up`, until it answers."""
        with (self.home / "up.log").open("ab") as log:
            self._up = subprocess.Popen(
                self.farm.lab.entering([str(PROGRAM), "up", "--json"]),
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._answers, "the studio to answer")

    def close(self) -> None:
        if self._up is not None:
            self._up.terminate()
            self._up.wait(60)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A `soundstage` command that is not waited for."""
        return subprocess.Popen(
            self.farm.lab.entering([str(PROGRAM), *arguments]),
            cwd=self.home,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str) -> str:
        """What a `soundstage` command prints; it must end well."""
        return said(self.start(*arguments))

    def videos(self) -> list[Path]:
        """The oldest first."""
        return sorted((self.home / "out").glob("*.mp4"), key=lambda path: path.stat().st_mtime_ns)

    def _environment(self) -> dict[str, str]:
        given = {name: value for name, value in os.environ.items() if not name.startswith("SOUNDSTAGE_")}
        return {**given, "COLUMNS": "400"}

    def _answers(self) -> bool:
        asked = ["curl", "--silent", "--fail", "--noproxy", "*", "--max-time", "5", f"{URL}/api/health"]
        return subprocess.run(self.farm.lab.entering(asked), capture_output=True).returncode == 0


def said(command: subprocess.Popen[str]) -> str:
    """What a started command has printed when it has ended well."""
    output, _ = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, output
    return output.strip()


def probe(video: Path) -> dict[str, Any]:
    """What an independent reader tells of a file."""
    asked = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-count_frames"]
    ran = subprocess.run([*asked, str(video)], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(ran.stdout)
    return told
