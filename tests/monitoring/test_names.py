"""Alerts and dashboards read metrics that exist: those that the product declares, and those that Nomad,
Consul and Prometheus's programs showed on machines of the lab (`seen_names.txt`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from quiet_day import quiet_day
from rule_files import ROOT, alerts, check_rules, metric_names

from soundstage.telemetry.metrics import list_metrics

sys.path.insert(0, str(ROOT / "scripts"))

from monitoring_dashboards import DASHBOARDS, FOLDER, Dashboard, expressions

SEEN = Path(__file__).with_name("seen_names.txt")
PARTS = ("_bucket", "_count", "_sum")


def existing_names() -> set[str]:
    known = set(SEEN.read_text().split())
    for one in list_metrics():
        name, histogram = one.declaration.full_name, one.declaration.kind == "histogram"
        known |= {f"{name}{part}" for part in PARTS} if histogram else {name}
    return known


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: one["alert"])
def test_an_alert_reads_metrics_that_exist(alert: dict[str, str]) -> None:
    assert metric_names(alert["expr"]) - existing_names() == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_a_dashboard_reads_metrics_that_exist(dashboard: Dashboard) -> None:
    for expression in expressions(dashboard):
        assert metric_names(expression) - existing_names() == set(), expression


def test_the_quiet_day_has_metrics_that_exist_and_each_that_an_alert_reads() -> None:
    names = {series.partition("{")[0] for series in quiet_day(1)}
    assert names - existing_names() == set()
    read = set().union(*(metric_names(one["expr"]) for one in alerts()))
    assert read - names == set()


def test_promtool_takes_every_query_of_the_dashboards(promtool: str, tmp_path: Path) -> None:
    # Rules wrap them: promtool checks no bare expression.
    rules = [
        {"record": f"check:{one.name}:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for one in DASHBOARDS
        for number, query in enumerate(expressions(one))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    checked = check_rules(promtool, file)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_the_files_of_the_dashboards_are_current_and_fit_together() -> None:
    script = ROOT / "scripts" / "monitoring_dashboards.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert {file.stem for file in FOLDER.iterdir()} == {one.name for one in DASHBOARDS}
    for file in FOLDER.iterdir():
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}
        assert len(taken) == len(panels)
        assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels)
