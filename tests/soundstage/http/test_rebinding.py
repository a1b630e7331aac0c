"""A name that is public when it is checked and loopback a moment later, by a real DNS server and resolver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("rebinding_in_namespace.py")
TOOLS = ("unshare", "nsenter", "mount", "ip")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root: run the tests as root"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in TOOLS), reason="`apt-get install iproute2 util-linux`"
    ),
]


def test_a_name_that_a_server_answers_anew_each_time_leads_to_the_checked_address_alone(
    tmp_path: Path,
) -> None:
    command = ["unshare", "--net", "--mount", sys.executable, str(SCRIPT), str(tmp_path)]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "first": "204",
        "asked_for_the_first": 1,
        "second": "outgoing.address_refused",
        "both": "outgoing.address_refused",
        "inner": "outgoing.address_refused",
        "arrived_on_loopback": [],
        "arrived_outside": ["Host: rebinding.example:8080"],
    }
