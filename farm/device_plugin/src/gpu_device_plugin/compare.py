"""Says whether Nomad's server sees the cards that the plugin announces: `gpu-device-plugin compare`, for a
timer on the node.

They differ when the plugin hangs or the agent has lost it, which Nomad itself never notices. Restarting the
agent is the safe cure: tasks run on.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gpu_device_plugin.files import load_status

# The status is written every 5 s.
_STATUS_OLD_S = 30.0


def differences(state_dir: Path, environment: Mapping[str, str], now: datetime) -> list[str]:
    """Sentences, one per difference; empty when all is well. Reads NOMAD_ADDR, NOMAD_TOKEN, NOMAD_CACERT,
    NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY. Raises OSError when the agent does not answer."""
    try:
        status = load_status(state_dir)
        age_s = (now - datetime.fromisoformat(status["written_at"])).total_seconds()
        announced: dict[str, bool] = status["devices"]
        found = [f"the plugin's trouble: {status['problem']}"] if status["problem"] else []
    except (OSError, ValueError, KeyError) as e:
        return [f"the plugin's status in {state_dir} cannot be read: {e}"]
    if age_s > _STATUS_OLD_S:
        found.append(f"the plugin (process {status['pid']}) has been silent for {age_s:.0f} s")
    elif not status["stream_open"]:
        found.append("the agent does not listen to the plugin")
    seen = _seen_by_server(environment)
    found += [
        f"{device} is announced, but the server does not see it" for device in announced.keys() - seen.keys()
    ]
    found += [
        f"{device} is not announced, but the server sees it" for device in seen.keys() - announced.keys()
    ]
    for device in sorted(announced.keys() & seen.keys()):
        if announced[device] != seen[device]:
            words = {True: "healthy", False: "faulty"}
            found.append(f"{device} is {words[announced[device]]}, but {words[seen[device]]} to the server")
    return found


def lasting_differences(state_dir: Path, environment: Mapping[str, str], timeout_s: float) -> list[str]:
    """Like `differences`, but only what holds for `timeout_s`: the agent passes changes on within about 10
    s."""
    until = time.monotonic() + timeout_s
    while True:
        found = differences(state_dir, environment, datetime.now().astimezone())
        if not found or time.monotonic() >= until:
            return found
        time.sleep(min(2.0, timeout_s))


def _seen_by_server(environment: Mapping[str, str]) -> dict[str, bool]:
    node_id = _get(environment, "/v1/agent/self")["stats"]["client"]["node_id"]
    node = _get(environment, f"/v1/node/{node_id}")
    return {
        instance["ID"]: bool(instance["Healthy"])
        for group in node["NodeResources"]["Devices"] or []
        if (group["Vendor"], group["Type"]) == ("nvidia", "gpu")
        for instance in group["Instances"]
    }


def _get(environment: Mapping[str, str], path: str) -> Any:
    address = environment.get("NOMAD_ADDR", "http://127.0.0.1:4646")
    if not address.startswith(("http://", "https://")):
        raise OSError(f"NOMAD_ADDR must be a web address, not {address}")
    request = urllib.request.Request(  # noqa: S310
        address + path, headers={"X-Nomad-Token": environment.get("NOMAD_TOKEN", "")}
    )
    context = None
    if address.startswith("https://"):
        context = ssl.create_default_context(cafile=environment.get("NOMAD_CACERT"))
        if "NOMAD_CLIENT_CERT" in environment:
            context.load_cert_chain(environment["NOMAD_CLIENT_CERT"], environment.get("NOMAD_CLIENT_KEY"))
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
        return json.load(answer)
