"""The playbook on Debian 12: every part of a farm on two bare machines, and a video that they make.

The other tests of roles run on Debian 13. The tests run in the order of this file.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_in_lab import MACHINE, of_the_agent, packed_program, place_expert
from control_machines_in_lab import Studio, ask_for_video
from farm_in_lab import ROOT, LabFarm, Run, whats_carried
from journey_inputs import FARM, PROGRAM
from monitored_farm import FILESYSTEMS, Prometheus
from studio_in_lab import eventually

sys.path.append(str(Path(__file__).parents[1] / "monitoring"))

from rule_files import alerts, metric_names, run_tests

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.cached(
        *FARM, *PROGRAM, "tests/servers/scripted_expert.py", "tests/servers/scripted_model.py"
    ),
]
SUITE = "bookworm"
WORKER = "gpu-1"
OF_CONTROL = ("control", "agent", "provisioning", "database", "storage", "monitoring")
BOOT = {
    "monitoring__filesystems_left_out": FILESYSTEMS,
    "pxe_server__interface": "host0",
    "pxe_server__first": "10.77.0.200",
    "pxe_server__last": "10.77.0.220",
    "provisioning_api__image": "",
}
ONLY_LATER = {
    *("soundstage_card_ecc_errors", "soundstage_card_temperature_celsius"),
    *("soundstage_node_problems", "soundstage_healing_ended_total"),
}
"""Of cards that tell them, of a fault, and of its end."""
CLOCK = "node_time_seconds"
SERVICES = (
    *("nomad", "consul", "nginx", "postgresql@15-main", "prometheus", "prometheus-alertmanager"),
    *("soundstage-objects", "soundstage-provisioning", "soundstage-boot-network"),
)


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> LabFarm:
    folder = tmp_path_factory.mktemp("bookworm")
    carried, program = whats_carried(folder, SUITE), packed_program(folder, SUITE)
    lab = lab_names("bookworm")
    groups = {group: [MACHINE] for group in OF_CONTROL} | {"workers": [WORKER]}
    lab.up(machines_named([MACHINE, WORKER], read_gpus("0,rtx-4090")), groups=groups, suite=SUITE)
    of_control = {
        **of_the_agent("exec"),
        **BOOT,
        "bootstrap_agent__jobs": [],
        "bootstrap_agent__questions": [],
    }
    built = LabFarm(
        lab,
        folder / "farm",
        engines,
        carried | program,
        {"control": of_control, "workers": {"nomad__drivers": ["exec", "docker"]}},
    )
    place_expert(built)
    return built


@pytest.fixture(scope="module")
def first_run(farm: LabFarm) -> Run:
    return farm.converge()


def test_every_part_runs(farm: LabFarm, first_run: Run) -> None:
    assert 'VERSION_ID="12"' in farm.on(MACHINE, "cat", "/etc/os-release").stdout
    states = farm.on(MACHINE, "systemctl", "is-active", *SERVICES).stdout.split()
    assert dict(zip(SERVICES, states, strict=True)) == dict.fromkeys(SERVICES, "active")
    assert farm.on(WORKER, "docker", "info").returncode == 0
    for machine in (MACHINE, WORKER):
        assert not farm.on(machine, "systemctl", "--failed", "--plain", "--no-legend").stdout
        checks = farm.on(machine, "/usr/local/sbin/soundstage-health", "run")
        assert checks.returncode == 0, checks.stdout + checks.stderr


def test_the_card_is_offered_and_a_sentence_becomes_a_video(farm: LabFarm, first_run: Run) -> None:
    nodes = farm.json(
        "https://10.77.0.11:4646/v1/nodes?resources=true",
        "X-Nomad-Token",
        farm.secret("nomad/management.token"),
    )
    devices = {one["Name"]: one["NodeResources"]["Devices"] or [] for one in nodes}
    assert [one["Vendor"] for one in devices[WORKER]] == ["nvidia"]
    render = ask_for_video(Studio(farm, MACHINE), "Bookworm", 1)
    assert "video" in {one["role"] for one in render.wait_for_video()["outputs"]}


def test_prometheus_reads_the_studio_and_the_provisioning_api(farm: LabFarm, first_run: Run) -> None:
    prometheus = Prometheus(farm)
    jobs = {("studio", MACHINE, "1"), ("provisioning", MACHINE, "1")}
    eventually(lambda: jobs <= prometheus.up(), "both answer Prometheus")
    rules = (ROOT / "ansible/roles/monitoring/files/alerts.yml").read_text()
    read = set(re.findall(r"\bsoundstage_\w+", rules)) - ONLY_LATER
    eventually(lambda: read <= prometheus.names(), "a measure of all that alerts read")


def test_on_a_day_of_such_minutes_no_alert_fires(farm: LabFarm, first_run: Run, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install --no-install-recommends prometheus"
    names = {name for one in alerts() for name in metric_names(one["expr"])}
    recorded = record_minute(Prometheus(farm), names)
    assert len({one["series"].partition("{")[0] for one in recorded}) > 20
    fired = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing",alertname!="Watchdog"}[1d]))'
    query = {"expr": fired, "eval_time": "24h", "exp_samples": []}
    test = {"interval": "1m", "input_series": recorded, "promql_expr_test": [query]}
    found = run_tests(promtool, tmp_path, [test])
    assert not found, found


def record_minute(prometheus: Prometheus, names: set[str]) -> list[dict[str, str]]:
    """Returns the series of these names as promtool takes them: what counts goes on for a day as in this
    minute, and what is a time is counted from the first.
    """
    either = "|".join(sorted(names - {CLOCK}))
    expression = f'{{__name__=~"{either}"}}'
    before = {str(one["metric"]): float(one["value"][1]) for one in prometheus.query(expression)}
    time.sleep(60)
    series = []
    for one in prometheus.query(expression):
        name, (at, text) = one["metric"].pop("__name__"), one["value"]
        value = float(text)
        counts = name.endswith(("_total", "_count", "_sum", "_bucket"))
        step = value - before.get(str({"__name__": name, **one["metric"]}), value)
        if value > 1e9 and not counts:
            # A time that has moved in this minute is written anew in each.
            series.append(series_of_day(name, one["metric"], value - at, 60.0 if step else 0.0))
        else:
            series.append(series_of_day(name, one["metric"], value, step if counts else 0.0))
    # Of a clock it is read how far it is off.
    for one in prometheus.query(f"{CLOCK} - timestamp({CLOCK})"):
        series.append(series_of_day(CLOCK, one["metric"], float(one["value"][1]), 60))
    return series


def series_of_day(name: str, labels: dict[str, str], start: float, step: float) -> dict[str, str]:
    pairs = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return {"series": f"{name}{{{pairs}}}", "values": f"{start:.10g}+{step:.10g}x1440"}


def test_lines_of_a_trace_come_from_every_machine(farm: LabFarm, first_run: Run) -> None:
    studio = Studio(farm, MACHINE)
    trace = ask_for_video(studio, "Logged", 1).wait_for_video()["trace_id"]
    assert farm.on(WORKER, "logger", "--tag", "drill", f"a card of {trace} is warm").returncode == 0

    def sources() -> set[tuple[str, str]]:
        return {(one["host"], one["service"]) for one in studio.call("GET", f"/api/logs?trace={trace}")}

    eventually(lambda: {(MACHINE, "studio"), (WORKER, "drill")} <= sources(), "lines of both machines")


def test_a_second_run_changes_nothing(farm: LabFarm, first_run: Run) -> None:
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]
