"""A farm of one machine in a lab, whose control node runs the agent by the roles of the playbook."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from farm_in_lab import CACHE, ROOT, Carried, LabFarm, found_uv, packing_options
from journey_inputs import PROGRAM

from pxe.image.debian import SUITE

MACHINE = "control-1"
ADDRESS = "10.77.0.11"
AGENT = f"https://{ADDRESS}:8443"
UNKNOWN = "Whereto do swallows vanish come autumn?"
"""No tool answers this."""
KNOWS = "Swallows fly south."
"""What the language model of the farm says to it, and to everything."""
EXPERT = "/opt/soundstage/expert"


def packed_program(folder: Path, suite: str = SUITE, extras: tuple[str, ...] = ()) -> Carried:
    """A copy of the checkout, so that nothing changes while the tests run, and what is packed of it: the
    lab's network leads to no package index."""
    source = folder / "checkout"
    source.mkdir()
    left_out = shutil.ignore_patterns(".venv*", "__pycache__", ".*_cache", "node_modules")
    for name in PROGRAM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=left_out)
        else:
            shutil.copy(ROOT / name, source / name)
    cache, uv = CACHE / "control", found_uv()
    pack = ROOT / "ansible/roles/control_program/files/pack_program.py"
    command = [sys.executable, pack, "--source", source, "--cache", cache, "--uv", uv]
    command += [*packing_options(suite), *(f"--extra={name}" for name in extras)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    variables = {"source": str(source), "cache": str(cache), "uv": uv}
    return Carried(
        json.loads(printed)["digest"],
        {f"control_program__{name}": value for name, value in variables.items()},
    )


def of_the_agent(driver: str) -> dict[str, Any]:
    """Variables of the control machine: it runs the agent, and a scripted language model that says one
    sentence."""
    expert = {
        "command": "/usr/bin/python3",
        "args": [f"{EXPERT}/scripted_expert.py", KNOWS],
        "gpus": 0,
        "memory_mb": 128,
        "model": "scripted",
        "driver": driver,
        "program_volume": "" if driver == "raw_exec" else "soundstage",
    }
    return {
        "farm__agent": MACHINE,
        # For people who are no machine of the farm.
        "agent__tls_port": 8443,
        "nomad__gpu_plugin": False,
        "nomad__drivers": [driver],
        "agent__driver": driver,
        "bootstrap_agent__jobs": [{"job": "llm-expert", "variables": expert}],
        "bootstrap_agent__questions": [{"ask": UNKNOWN, "expect": KNOWS}],
    }


def place_expert(farm: LabFarm) -> None:
    """As an operator puts weights there."""
    for name in ("scripted_expert.py", "scripted_model.py"):
        text = (ROOT / "tests" / "servers" / name).read_text()
        script = f'mkdir -p {EXPERT} && printf %s "$0" > {EXPERT}/{name}'
        done = farm.on(MACHINE, "sh", "-ec", script, text)
        assert done.returncode == 0, done.stderr


def authority(farm: LabFarm) -> Path:
    """The certificate that people trust who speak to the agent from elsewhere."""
    copy = farm.folder / "agent-ca.pem"
    copy.write_text(farm.on(MACHINE, "cat", "/var/lib/soundstage-agent/tls/ca.pem").stdout)
    return copy


def say(farm: LabFarm, message: str) -> str:
    """What the agent replies to the administrator, who asks from the lab's network."""
    key = farm.secret("agent/admin.key")
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "120", "--noproxy", "*"]
    command += [
        "--cacert",
        str(authority(farm)),
        "--header",
        "@-",
        "--json",
        json.dumps({"message": message}),
        f"{AGENT}/api/chat",
    ]
    given = f"Authorization: Bearer {key}\n"
    done = subprocess.run(farm.lab.entering(command), input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reply: str = json.loads(done.stdout)["reply"]
    return reply
