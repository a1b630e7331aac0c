"""Each alert fires on its fault and no other does; on a quiet day none fires. promtool evaluates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from quiet_day import CARD_MIB, CARDS, DAY_S, GIB, MACHINES, MINUTES, Series, input_series, quiet_day
from rule_files import ROOT, RUNBOOKS, alerts, check_rules, metric_names, rules, run_tests

SEVERITIES = {"page", "ticket", "none"}
FIRING = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing",alertname!="Watchdog"}[1d]))'
HOURS = 4


def select_series(series: Series, *parts: str) -> list[str]:
    """The series whose names have all `parts`."""
    found = [name for name in series if all(part in name for part in parts)]
    assert found, parts
    return found


def set_to(*parts: str, value: Callable[[int], float]) -> Callable[[Series], None]:
    def change(series: Series) -> None:
        for name in select_series(series, *parts):
            series[name] = [value(minute) for minute in range(len(series[name]))]

    return change


def after(minute: int, then: float, before: float = 0.0) -> Callable[[int], float]:
    return lambda m: then if m >= minute else before


def both(*changes: Callable[[Series], None]) -> Callable[[Series], None]:
    def change(series: Series) -> None:
        for one in changes:
            one(series)

    return change


def _lost(series: Series) -> None:
    """A machine that loses its power answers nothing."""
    for name in select_series(series, 'instance="gpu-2"'):
        series[name] = [v if m < 60 else math.nan for m, v in enumerate(series[name])]
    for name in select_series(series, "up{", 'instance="gpu-2"'):
        series[name] = [1.0 if m < 60 else 0.0 for m in range(len(series[name]))]
    (work,) = select_series(series, "nomad_client_allocations_running", 'instance="gpu-2"')
    series[work] = [2.0 if m < 60 else math.nan for m in range(len(series[work]))]


def _slow_speech(series: Series) -> None:
    for name in select_series(series, "first_audio_seconds_bucket"):
        share = 1.0 if re.search(r'le="(2.5|\+Inf)"', name) else 0.5
        series[name] = [2.0 * m * share for m in range(len(series[name]))]
    for name in select_series(series, "first_audio_seconds_count"):
        series[name] = [2.0 * m for m in range(len(series[name]))]


def _wrong_clocks(machines: tuple[str, ...]) -> Callable[[Series], None]:
    return both(
        *(
            set_to("node_time_seconds", machine, value=lambda m: 60.0 * m + (90 if m >= 60 else 0))
            for machine in machines
        )
    )


def _heal_twice(series: Series) -> None:
    """A machine whose counter is new, and one that was healed in the days before."""
    minutes, at = range(len(next(iter(series.values())))), HOURS * 60 - 20
    for machine, before in (("control-1", math.nan), ("control-2", 5.0)):
        labels = f'cause="silent",instance="{machine}",job="provisioning",state="recovered"'
        healed = 1.0 if math.isnan(before) else before + 1
        series[f"soundstage_healing_ended_total{{{labels}}}"] = [
            before if m < at else healed for m in minutes
        ]


@dataclass(frozen=True, slots=True)
class Fault:
    """Changes the quiet day; holds labels and sentence at its end, and the alerts that fire besides."""

    change: Callable[[Series], None]
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    besides: frozenset[str] = frozenset()


CARD = CARDS["gpu-1"]
DISK = {"device": "/dev/sda3", "fstype": "ext4", "instance": "gpu-1", "job": "node", "mountpoint": "/"}
FAULTS = {
    "RendersStuck": Fault(
        both(
            set_to("renders{", "queued", value=lambda m: 2.0),
            # Nomad has these, and no node takes them.
            set_to("renders{", "placed", value=lambda m: 1.0),
            set_to("renders_finished", value=lambda m: min(m, 60.0)),
            set_to("segments_total", value=lambda m: min(m, 60.0)),
        ),
        "3 renders wait and none ends.",
    ),
    "NodeLostWithWork": Fault(
        _lost,
        "gpu-2 is lost with 2 allocations on it.",
        {"instance": "gpu-2"},
        frozenset({"TargetDown"}),
    ),
    "LeaseAboveMemory": Fault(
        set_to("leases_mib", CARD, 'kind="held"', value=after(60, CARD_MIB + 1024.0)),
        f"Leases on card {CARD} of gpu-1 hold 25600 MiB, more than it has.",
        {"node": "gpu-1", "card": CARD},
    ),
    "ApiErrors": Fault(
        both(
            set_to("http_requests", 'job="studio"', '"200"', value=lambda m: 90.0 * m),
            set_to("http_requests", 'job="studio"', '"404"', value=lambda m: 0.0),
            set_to("http_requests", 'job="studio"', '"503"', value=lambda m: 10.0 * m),
        ),
        "10% of the requests to studio fail.",
        {"job": "studio"},
    ),
    "CertificateEnds": Fault(
        set_to("node_certificate", "gpu-1", "nomad", value=lambda m: 13.0 * DAY_S + HOURS * 3600),
        "The certificate /etc/nomad.d/tls/agent.pem of gpu-1 ends in 13d 0h 0m 0s.",
        {"instance": "gpu-1", "job": "node", "path": "/etc/nomad.d/tls/agent.pem"},
    ),
    "DiskFillsWithinDay": Fault(
        set_to("avail_bytes", "gpu-1", value=lambda m: (30 - 0.025 * m) * GIB),
        "/ of gpu-1 is full within a day.",
        DISK,
    ),
    "DiskFull": Fault(
        set_to("avail_bytes", "gpu-1", value=lambda m: 4.0 * GIB), "/ of gpu-1 has 4% left.", DISK
    ),
    "BackupOld": Fault(
        set_to("backup_last", value=lambda m: -23.0 * 3600),
        "The last good backup of control-1 is 1d 3h 0m 0s old.",
        {"instance": "control-1"},
    ),
    "MachineNeedsOperator": Fault(
        set_to("healing_cases", "needs_operator", value=after(60, 2.0)),
        "2 machines fail, and self-healing goes no further.",
    ),
    "MachineHealed": Fault(
        _heal_twice, "2 failures of machines were healed in the last hour; their nodes work again."
    ),
    "AuditChainBroken": Fault(
        set_to("audit_chain", 'job="studio"', value=after(60, 1.0)),
        "The audit log of studio was changed, cut or lost a line.",
        {"instance": "control-1", "job": "studio"},
    ),
    "ApprovalWaits": Fault(
        set_to("approval_oldest", value=lambda m: 60.0 * m),
        "A call has waited 4h 0m 0s for somebody to agree.",
    ),
    "ClockOff": Fault(
        _wrong_clocks(("gpu-1",)),
        "The clock of gpu-1 is 1m 30s off that of the monitoring machine.",
        {"instance": "gpu-1", "job": "node"},
    ),
    "MonitoringClockOff": Fault(
        _wrong_clocks(("gpu-1", "gpu-2")),
        "The clock of the monitoring machine is wrong: 2 machines differ from it.",
        besides=frozenset({"ClockOff"}),
    ),
    "FirstSoundLate": Fault(_slow_speech, "One in twenty answers begins to sound after more than 2.4s."),
    "CardHot": Fault(
        set_to("card_temperature", CARD, value=after(60, 91.0, 60.0)),
        f"Card {CARD} of gpu-1 has 91 °C.",
        {"instance": "gpu-1", "card": CARD},
    ),
    "CardErrors": Fault(
        set_to("ecc_errors", CARD, "uncorrected", value=after(HOURS * 60 - 20, 3.0, 2.0)),
        f"Card {CARD} of gpu-1 has errors of its memory or does not work.",
        {"instance": "gpu-1", "card": CARD},
    ),
    "CardFiguresOld": Fault(
        set_to("cards_written", "gpu-1", value=lambda m: 60.0 * min(m, 60)),
        "The figures of the cards of gpu-1 are 3h 0m 0s old.",
        {"instance": "gpu-1"},
    ),
    "DatabaseStandbyMissing": Fault(
        set_to("patroni_sync_standby", "control-2", value=after(60, math.nan, 1.0)),
        "No standby follows PostgreSQL; the loss of its machine would lose rows.",
    ),
    "NodeUnhealthy": Fault(
        set_to("node_problems", "gpu-1", value=after(60, 1.0, math.nan)),
        "gpu-1: the check machine finds machine.clock_free.",
        {"instance": "gpu-1", "check": "machine", "code": "machine.clock_free"},
    ),
    "TargetDown": Fault(
        set_to("up{", "gpu-1", "node", value=after(60, 0.0, 1.0)),
        "node of gpu-1 does not answer Prometheus.",
        {"instance": "gpu-1", "job": "node"},
    ),
    "AlertsNotDelivered": Fault(
        set_to("notifications_failed", "webhook", value=lambda m: float(m)),
        "Alertmanager cannot deliver by webhook.",
        {"integration": "webhook"},
    ),
}


def expect_firing(series: Series, expected: set[str], minutes: int) -> dict[str, Any]:
    """A test of promtool: exactly these alerts have fired until the end."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    expression = {"expr": f"{FIRING} > bool 0", "eval_time": f"{minutes}m", "exp_samples": samples}
    return {"interval": "1m", "input_series": input_series(series), "promql_expr_test": [expression]}


def expect_alert(name: str, fault: Fault, source: dict[str, Any], minutes: int) -> dict[str, Any]:
    """A test of promtool: the alert fires at the end with these labels and sentences."""
    notes = {"summary": fault.summary, "hint": source["hint"], "runbook_url": f"{RUNBOOKS}#{name.lower()}"}
    alert = {"exp_labels": {**fault.labels, "severity": source["severity"]}, "exp_annotations": notes}
    return {"alertname": name, "eval_time": f"{minutes}m", "exp_alerts": [alert]}


def test_promtool_takes_the_rules_and_each_says_what_to_do(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules())
    checked = check_rules(promtool, tmp_path / "rules.yml")
    assert checked.returncode == 0, checked.stderr
    (group,) = yaml.safe_load(rules())["groups"]
    assert len({one["alert"] for one in group["rules"]}) == len(group["rules"])
    for one in group["rules"]:
        assert one["labels"]["severity"] in SEVERITIES, one
        assert one["annotations"]["summary"] and one["annotations"]["hint"], one


def test_each_alert_has_a_section_of_the_runbook_and_the_other_way_round() -> None:
    names = [one["alert"] for one in alerts()]
    page = (ROOT / RUNBOOKS).read_text()
    runbook = page[page.index("## Runbook") :]
    sections = re.findall(r"^### (\w+)$", runbook, re.MULTILINE)
    assert sorted(sections) == sorted(names)
    links = [one["annotations"]["runbook_url"] for one in yaml.safe_load(rules())["groups"][0]["rules"]]
    assert links == [f"{RUNBOOKS}#{name.lower()}" for name in names]


def test_the_guide_says_by_what_each_alert_was_made_to_fire() -> None:
    page = (ROOT / RUNBOOKS).read_text()
    rows = [f"| `{one['alert']}` | {one['drill']} |" for one in alerts()]
    assert "\n".join(rows) in page


def test_on_a_quiet_day_no_alert_fires(promtool: str, tmp_path: Path) -> None:
    problems = run_tests(promtool, tmp_path, [expect_firing(quiet_day(), set(), MINUTES)])
    assert not problems, problems


def test_each_alert_fires_on_its_fault_and_no_other_does(promtool: str, tmp_path: Path) -> None:
    sources = {one["alert"]: one for one in alerts()}
    assert set(FAULTS) == set(sources) - {"Watchdog"}
    assert len(MACHINES) == 3
    tests = []
    for name, fault in FAULTS.items():
        series = quiet_day(HOURS * 60)
        fault.change(series)
        one = expect_firing(series, {name, *fault.besides}, HOURS * 60)
        tests.append({**one, "alert_rule_test": [expect_alert(name, fault, sources[name], HOURS * 60)]})
    problems = run_tests(promtool, tmp_path, tests)
    assert not problems, problems


def test_a_day_on_which_a_fault_is_hidden_is_not_called_quiet(promtool: str, tmp_path: Path) -> None:
    series = quiet_day()
    (temperature,) = select_series(series, "card_temperature", CARD)
    for minute in range(700, 712):
        series[temperature][minute] = 90.0
    assert "CardHot" in run_tests(promtool, tmp_path, [expect_firing(series, set(), MINUTES)])


def test_an_operator_changes_an_alert_or_switches_it_off() -> None:
    changed = {"ClockOff": {"for": "10m", "severity": "page"}, "BackupOld": {"enabled": False}}
    (group,) = yaml.safe_load(rules(changed))["groups"]
    found = {one["alert"]: one for one in group["rules"]}
    assert (found["ClockOff"]["for"], found["ClockOff"]["labels"]["severity"]) == ("10m", "page")
    assert "BackupOld" not in found


def test_names_are_found_in_expressions() -> None:
    found = metric_names('sum by (job) (rate(a_total{b="c_d"}[5m])) > on (node) max(e_f offset 5m) * 14')
    assert found == {"a_total", "e_f"}
