"""Machines in people's words: what they are made of, where they are, and why they wait. Used by the tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from agent.presentation.text import count, duration, join_names
from agent.tools.machines.api import Hardware, Machine, OtherKey, Run, Span, Timeline
from soundstage.database import utcnow

MachineState = Literal[
    "discovered",
    "accepted",
    "deploying",
    "enrolled",
    "configuring",
    "ready",
    "draining",
    "wipe_unverified",
    "retired",
    "failed",
]
_MAX_SPANS = 12


def hardware_text(hardware: Hardware | None) -> str:
    """`16 threads, 64 GiB, 2 × TU104 (8 GiB), sda 480 GB`; empty when nothing is known."""
    if hardware is None:
        return ""
    cards = Counter((card.model or "card", card.vram_mib) for card in hardware.gpus)
    parts = [
        f"{hardware.cpu_threads} threads" if hardware.cpu_threads else "",
        f"{hardware.memory_mib / 1024:.3g} GiB" if hardware.memory_mib else "",
        *(
            (f"{number} × " if number > 1 else "") + model + (f" ({mib / 1024:.3g} GiB)" if mib else "")
            for (model, mib), number in cards.items()
        ),
        *(disks_of(hardware)),
    ]
    return ", ".join(part for part in parts if part)


def disks_of(hardware: Hardware | None) -> list[str]:
    """`sda 480 GB` for each disk."""
    return [f"{disk.name} {disk.bytes / 1e9:.0f} GB" for disk in (hardware.disks if hardware else ())]


def remark(machine: Machine) -> str:
    """Returns what a user has to know besides the state; empty when all is well."""
    if machine.conflicts:
        others = "; ".join(map(other_key, machine.conflicts))
        return f"reports with another key: {others}. “The key CODE counts for {machine.name}” ends that."
    if machine.state == "discovered":
        code = f"; {machine.code} stands on its console" if machine.code else ""
        return f"waits for a yes: “accept {machine.name}”{code}"
    if machine.cause:
        return f"{machine.cause} {machine.hint}".strip()
    return {
        "accepted": "written and enrolled at its next start from the network",
        "deploying": "its disk is being written",
        "enrolled": "configured after its first start",
        "configuring": "being configured",
        "draining": "wiped at its next start from the network",
    }.get(machine.state, "")


def why_it_waits(machine: Machine, runs: Sequence[Run], node: str) -> str:
    """One sentence: what it waits for and who can change that. `runs`: those on it that have not ended;
    `node`: what the farm says of it, empty when nothing.
    """
    running = next((run for run in runs if run.state == "running"), None)
    queued = next((run for run in runs if run.state == "queued"), None)
    match machine.state:
        case "discovered":
            code = f" Its console shows {machine.code}, to compare." if machine.code else ""
            return f"It waits for somebody to say “accept {machine.name}”.{code}"
        case "accepted":
            more = "" if machine.power else " Nobody can switch it from here, so start it by hand."
            return f"It waits for its next start from the network.{more}"
        case "deploying":
            return "Its disk is being written; it joins by itself afterwards."
        case "failed":
            return f"It stopped: {machine.cause or 'nobody knows why.'} {machine.hint}".strip()
        case "draining":
            return "It waits for its next start from the network, where its disks are wiped."
        case "retired":
            return f"It is out of service. “Accept {machine.name}” takes it back."
    if running is not None:
        return f"The run {running.id} ({running.playbook}) is working on it."
    if queued is not None:
        return f"The run {queued.id} ({queued.playbook}) waits for its turn."
    if machine.state == "enrolled":
        return "It waits for its first start, after which it is configured."
    if machine.state == "configuring":
        return "It is configured, and waits until the farm calls it ready."
    return node or "It waits for nothing: it is ready."


def longest_spans(timeline: Timeline) -> tuple[Span, ...]:
    """Returns what took longest, in its order."""
    longest = sorted(timeline.spans, key=lambda span: span.seconds, reverse=True)[:_MAX_SPANS]
    return tuple(span for span in timeline.spans if span in longest and span.seconds >= 0.5)


def introduction(machine: Machine) -> str:
    """`gpu-2 (10.0.0.7, 16 threads, 64 GiB)`: so much that people know which one is meant."""
    code = f"code {machine.code}" if machine.code else ""
    parts = [part for part in (code, machine.address or "", hardware_text(machine.hardware)) if part]
    return f"{machine.name} ({', '.join(parts)})" if parts else machine.name


def other_key(key: OtherKey) -> str:
    """`2c91-a110-1679 since 14:02, from another address (10.0.0.9)`."""
    place = "the same" if key.same_source else "another"
    return f"{key.code} since {key.since:%H:%M}, from {place} address ({key.source})"


def since(machine: Machine) -> str:
    """`seen 12 minutes ago`."""
    return f"seen {duration((utcnow() - machine.seen_at).total_seconds())} ago"


def count_by_state(machines: Sequence[Machine]) -> str:
    """`3 machines: 2 ready, 1 discovered`."""
    states = Counter(machine.state for machine in machines)
    parts = join_names([f"{number} {state}" for state, number in states.most_common()], 9)
    return f"{count(len(machines), 'machine')}: {parts}"
