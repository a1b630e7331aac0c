"""Nomad's job files cannot include each other, so blocks that they share are held to be the same."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[2] / "jobs"
EVERY_JOB = ("agent", "livekit", "llamacpp-rpc", "llm-expert", "provisioning-api", "render", "tts", "voice")
SERVERS = ("agent", "provisioning-api")
SHARED = {
    EVERY_JOB: ('variable "datacenters"', 'variable "namespace"', 'variable "node_pool"'),
    SERVERS: (
        *(f'variable "{name}"' for name in ("program_volume", "config_volume")),
        *(
            f'variable "{name}"'
            for name in ("state_volume", "env", "secrets", "user", "node", "provider", "driver")
        ),
        *("update", "restart", "reschedule", "disconnect", 'port "http"', "check", "resources", "logs"),
        *('dynamic "volume"', 'dynamic "volume_mount"', 'dynamic "template"', 'dynamic "constraint"'),
    ),
    ("agent", "livekit"): (*(f'variable "{name}"' for name in ("driver", "provider")), "logs"),
    ("voice", "llm-expert"): ('dynamic "constraint"',),
    ("agent", "voice"): (*(f'variable "{name}"' for name in ("driver", "env", "program_volume")), "logs"),
    ("llamacpp-rpc", "llm-expert"): ("restart", "resources", 'dynamic "device"', 'variable "vram_mib"'),
    ("llamacpp-rpc", "llm-expert", "tts"): ("reschedule", 'variable "driver"'),
    ("llamacpp-rpc", "llm-expert", "render"): ('variable "device"',),
    ("llamacpp-rpc", "llm-expert", "render", "tts"): ("constraint",),
    ("llm-expert", "tts"): ("network", 'variable "health_path"'),
}
_BEGIN = re.compile(r'^( *)((?:dynamic )?\w+(?: "[^"]+")*) \{$')


def blocks(job: str) -> dict[str, list[str]]:
    """Returns the texts of the blocks of a job file by type and label, without their indent."""
    found: dict[str, list[str]] = defaultdict(list)
    lines = (JOBS / f"{job}.nomad.hcl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if begin := _BEGIN.match(line):
            end = lines.index(f"{begin[1]}}}", number)
            found[begin[2]].append("\n".join(one.removeprefix(begin[1]) for one in lines[number : end + 1]))
    return found


@pytest.mark.parametrize("jobs", SHARED, ids="+".join)
def test_shared_blocks_are_the_same(jobs: tuple[str, ...]) -> None:
    first, *others = ((job, blocks(job)) for job in jobs)
    for name in SHARED[jobs]:
        assert first[1][name], f"{first[0]} has no {name}"
        for job, found in others:
            # The first job may have more of them.
            same = first[1][name][: max(1, len(found[name]))]
            assert found[name] == same, f"{name} of {job} differs from that of {first[0]}"


def test_every_job_file_is_compared() -> None:
    assert {path.name.removesuffix(".nomad.hcl") for path in JOBS.glob("*.hcl")} == set(EVERY_JOB)
