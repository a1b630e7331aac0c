"""A day on which nothing is wrong, minute by minute, for promtool: work comes and goes, disks fill and are
cleaned, cards get warm, a backup is taken at night, some requests fail.

The values come from a seeded generator; metrics that count grow as they do on a farm of three machines.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

MINUTES = 24 * 60
MACHINES = ("control-1", "gpu-1", "gpu-2")
CARDS = {"gpu-1": "GPU-aaaa", "gpu-2": "GPU-bbbb"}
CARD_MIB = 24576
DAY_S = 86400
BACKUP_AT = 197
"""03:17, as the role backup has it."""
GIB = 2**30

Series = dict[str, list[float]]


def quiet_day(minutes: int = MINUTES, seed: int = 7) -> Series:
    """Returns a value per minute for each series; the first is at time 0."""
    chance = random.Random(seed)  # noqa: S311 -- values for a test
    series: Series = {}
    for one in (_product, _cards, _databases, _machines):
        one(series, minutes, chance)
    return series


def input_series(series: Series) -> list[dict[str, str]]:
    """Returns it as the `input_series` of promtool; NaN is a missing value."""
    return [
        {"series": name, "values": " ".join("_" if math.isnan(one) else f"{one:.10g}" for one in values)}
        for name, values in series.items()
    ]


def busy(minute: int) -> float:
    """Returns how much is asked of the farm: little at night, most in the afternoon."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * (minute % MINUTES) / MINUTES)


def _counter(minutes: int, growth: Callable[[int], float]) -> list[float]:
    total, values = 0.0, []
    for minute in range(minutes + 1):
        values.append(total)
        total += max(0.0, growth(minute))
    return values


def _product(series: Series, minutes: int, chance: random.Random) -> None:
    span = range(minutes + 1)
    for job in ("studio", "provisioning"):
        labels = f'instance="control-1",job="{job}",method="GET",route="/api/renders"'
        base = f"soundstage_http_requests_total{{{labels}"
        series[f'{base},status="200"}}'] = _counter(minutes, lambda m: 30 + 300 * busy(m))
        series[f'{base},status="404"}}'] = _counter(minutes, lambda m: 3 + 20 * busy(m))
        # One in two hundred.
        series[f'{base},status="503"}}'] = _counter(minutes, lambda m: 1.5 * busy(m))
        series[f'soundstage_audit_chain_broken{{instance="control-1",job="{job}"}}'] = [0.0 for _ in span]
        series[f'up{{instance="control-1",job="{job}"}}'] = [1.0 for _ in span]
    series['up{instance="control-2",job="provisioning"}'] = [1.0 for _ in span]
    for state in ("draining", "needs_operator"):
        labels = f'instance="control-1",job="provisioning",state="{state}"'
        series[f"soundstage_healing_cases{{{labels}}}"] = [0.0 for _ in span]
    labels = 'cause="checks",instance="control-1",job="provisioning",state="recovered"'
    series[f"soundstage_healing_ended_total{{{labels}}}"] = [3.0 for _ in span]
    labels = 'instance="control-1",job="studio"'
    # At night nobody asks for a video; by day a few wait, and one ends every two minutes.
    queued = [float(chance.randrange(4)) if busy(m) > 0.2 else 0.0 for m in span]
    series[f'soundstage_renders{{{labels},state="queued"}}'] = queued
    series[f'soundstage_renders{{{labels},state="placed"}}'] = [1.0 if one else 0.0 for one in queued]
    series[f'soundstage_renders{{{labels},state="running"}}'] = [2.0 if one else 0.0 for one in queued]
    series[f'soundstage_renders_finished_total{{{labels},state="done"}}'] = _counter(
        minutes, lambda m: 0.5 if busy(m) > 0.2 else 0
    )
    series[f'soundstage_segments_total{{{labels},result="done"}}'] = _counter(
        minutes, lambda m: 4 if busy(m) > 0.2 else 0
    )
    # Somebody looks every forty minutes.
    series[f"soundstage_approval_oldest_wait_seconds{{{labels}}}"] = [60.0 * (m % 40) for m in span]
    for le, share in (("0.5", 0.5), ("1.0", 0.93), ("1.5", 0.98), ("2.5", 1.0), ("+Inf", 1.0)):
        name = f'soundstage_voice_first_audio_seconds_bucket{{{labels},le="{le}"}}'
        series[name] = _counter(minutes, lambda m, share=share: 6 * busy(m) * share)  # type: ignore[misc]
    series[f"soundstage_voice_first_audio_seconds_count{{{labels}}}"] = _counter(
        minutes, lambda m: 6 * busy(m)
    )
    for certificate in ("studio", "studio authority"):
        ends = 60.0 * DAY_S
        name = f'soundstage_certificate_expires_timestamp_seconds{{certificate="{certificate}",{labels}}}'
        series[name] = [ends for _ in span]
    for integration in ("webhook", "email"):
        name = f'alertmanager_notifications_failed_total{{instance="control-1",integration="{integration}"}}'
        series[name] = [0.0 for _ in span]


def _cards(series: Series, minutes: int, chance: random.Random) -> None:
    span = range(minutes + 1)
    for node, card in CARDS.items():
        studio = f'card="{card}",instance="control-1",job="studio",node="{node}"'
        held = [chance.choice((0.0, 8192.0, 16384.0, 24576.0)) for _ in span]
        series[f'soundstage_leases_mib{{{studio},kind="held"}}'] = held
        series[f'soundstage_leases_mib{{{studio},kind="free"}}'] = [CARD_MIB - one for one in held]
        series[f"soundstage_card_memory_mib{{{studio}}}"] = [float(CARD_MIB) for _ in span]
        labels = f'card="{card}",instance="{node}",job="node"'
        warm = [45 + 30 * busy(m) + 5 * chance.random() for m in span]
        # A minute of 87 degrees is no fault.
        if minutes > 800:
            warm[800] = 87.0
        series[f"soundstage_card_temperature_celsius{{{labels}}}"] = warm
        written = f'instance="{node}",job="node"'
        series[f"soundstage_cards_written_timestamp_seconds{{{written}}}"] = [60.0 * m for m in span]
        series[f"soundstage_card_healthy{{{labels}}}"] = [1.0 for _ in span]
        series[f'soundstage_card_ecc_errors{{{labels},kind="corrected"}}'] = [float(m // 300) for m in span]
        series[f'soundstage_card_ecc_errors{{{labels},kind="uncorrected"}}'] = [2.0 for _ in span]


def _databases(series: Series, minutes: int, _chance: random.Random) -> None:
    """Two of the control machines; while a standby takes over there is none for a minute."""
    for machine, name, value in (
        *(("control-1", "primary", 1.0), ("control-1", "sync_standby", 0.0)),
        *(("control-2", "primary", 0.0), ("control-2", "sync_standby", 1.0)),
    ):
        labels = f'instance="{machine}",job="patroni",name="{machine}",scope="soundstage"'
        values = [0.0 if minute == 300 else value for minute in range(minutes + 1)]
        series[f"patroni_{name}{{{labels}}}"] = values


def _machines(series: Series, minutes: int, chance: random.Random) -> None:
    span = range(minutes + 1)
    for machine in MACHINES:
        for job in ("node", "nomad"):
            series[f'up{{instance="{machine}",job="{job}"}}'] = [1.0 for _ in span]
        node = f'instance="{machine}",job="node"'
        # Scrapes take some milliseconds.
        series[f"node_time_seconds{{{node}}}"] = [60.0 * m + 0.3 * (chance.random() - 0.5) for m in span]
        disk = f'device="/dev/sda3",fstype="ext4",{node},mountpoint="/"'
        series[f"node_filesystem_size_bytes{{{disk}}}"] = [100.0 * GIB for _ in span]
        # Half is free; renders write 6 GiB by day, which are removed at night.
        free = [50 * GIB - (0 if m < 360 else 6 * GIB * (m - 360) / 1080) for m in span]
        series[f"node_filesystem_avail_bytes{{{disk}}}"] = free
        series[f"node_filesystem_readonly{{{disk}}}"] = [0.0 for _ in span]
        for engine in ("nomad", "consul"):
            path = f"/etc/{engine}.d/tls/agent.pem"
            name = f'soundstage_node_certificate_expires_timestamp_seconds{{{node},path="{path}"}}'
            series[name] = [200.0 * DAY_S for _ in span]
        problem = f'check="machine",code="machine.clock_free",{node}'
        # Seen once, and gone when looked at again.
        series[f"soundstage_node_problems{{{problem}}}"] = [1.0 if m == 60 else math.nan for m in span]
        running = f'instance="{machine}",job="nomad",node_class="none",node_pool="default"'
        series[f"nomad_client_allocations_running{{{running}}}"] = [float(round(3 * busy(m))) for m in span]
    labels = 'instance="control-1",job="node"'
    taken = [BACKUP_AT * 60.0 if m >= BACKUP_AT else BACKUP_AT * 60.0 - DAY_S for m in span]
    series[f"soundstage_backup_last_success_timestamp_seconds{{{labels}}}"] = taken
