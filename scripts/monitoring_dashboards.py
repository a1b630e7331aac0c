# ruff: noqa: E501 -- a panel per line reads as a table
"""Writes the dashboards for Grafana as JSON (`make docs`); with --check says what has drifted.

A dashboard is rows of panels, a panel is a title, a unit and PromQL expressions. The JSON is plain: the schema
of Grafana 10 and later, a data source that is chosen at the top, no plugin.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "ansible" / "roles" / "monitoring" / "files" / "dashboards"
SCHEMA_VERSION = 39
WIDTH = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries`: legend to expression. `kind`: timeseries, stat, table or state-timeline."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    help: str = ""
    stack: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Rows of panels, which share the width."""

    name: str
    title: str
    rows: tuple[tuple[Panel, ...], ...]


def rate(metric: str, labels: str = "", by: str = "") -> str:
    inner = f"rate({metric}{{{labels}}}[$__rate_interval])" if labels else f"rate({metric}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(share: float, metric: str, by: str = "", labels: str = "") -> str:
    series = f"{metric}_bucket{{{labels}}}" if labels else f"{metric}_bucket"
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({series}[$__rate_interval])))"


def newest(metric: str, by: str) -> str:
    """A gauge that two control machines show alike."""
    return f"max by ({by}) ({metric})"


FARM = Dashboard(
    "farm",
    "Soundstage: farm",
    (
        (
            Panel("Alerts that fire", "short", {"{{alertname}} {{instance}}": 'ALERTS{alertstate="firing",alertname!="Watchdog"}'}, "table"),
            Panel("Targets that do not answer", "short", {"{{job}} {{instance}}": "up == 0"}, "table"),
            Panel("Nodes", "short", {"{{state}}": newest("soundstage_nodes", "state")}, "stat"),
        ),
        (
            Panel("Requests", "reqps", {"{{job}} {{status}}": rate("soundstage_http_requests_total", by="job, status")}),
            Panel(
                "Failed requests", "percentunit",
                {"{{job}}": rate("soundstage_http_requests_total", 'status=~"5.."', "job") + " / " + rate("soundstage_http_requests_total", by="job")},
            ),
            Panel("Time of a request, 95 %", "s", {"{{route}}": quantile(0.95, "soundstage_http_request_seconds", "route", 'route!~".*events.*"')}),
        ),
        (
            Panel("Memory leased on cards", "decmbytes", {"{{node}} {{card}} {{kind}}": newest("soundstage_leases_mib", "node, card, kind")}, stack=True),
            Panel("Work on nodes", "short", {"{{instance}}": "max by (instance) (nomad_client_allocations_running)"}),
            Panel("Tasks moved", "short", {"{{reason}}": "sum by (reason) (increase(soundstage_tasks_moved_total[1h]))"}),
        ),
        (
            Panel("Database, 95 %", "s", {"{{statement}}": quantile(0.95, "soundstage_database_seconds", "statement")}),
            Panel("Events", "cps", {"{{kind}}": rate("soundstage_events_total", by="kind")}),
            Panel("Policy", "cps", {"{{decision}}": rate("soundstage_policy_decisions_total", by="decision")}),
        ),
        (
            Panel("Lines of the log", "cps", {"{{job}} {{level}}": rate("soundstage_log_lines_total", 'level=~"warning|error|critical"', "job, level")}),
            Panel("Audit log broken", "short", {"{{job}}": newest("soundstage_audit_chain_broken", "job")}, "stat"),
            Panel("Oldest backup", "s", {"{{instance}}": "time() - max by (instance) (soundstage_backup_last_success_timestamp_seconds)"}, "stat"),
        ),
    ),
)  # fmt: skip
RENDERS = Dashboard(
    "renders",
    "Soundstage: renders",
    (
        (
            Panel("Renders now", "short", {"{{state}}": newest('soundstage_renders{state=~"queued|placed|running"}', "state")}, "stat"),
            Panel("Oldest queued render", "s", {"": "max(soundstage_render_oldest_wait_seconds)"}, "stat"),
            Panel("Renders ended in an hour", "short", {"{{state}}": "sum by (state) (increase(soundstage_renders_finished_total[1h]))"}),
        ),
        (
            Panel("Time of a render", "s", {"half": quantile(0.5, "soundstage_render_seconds"), "95 %": quantile(0.95, "soundstage_render_seconds")}),
            Panel("Segments", "cpm", {"{{result}}": f"60 * {rate('soundstage_segments_total', by='result')}"}),
            Panel("Time in the queue, 95 %", "s", {"": quantile(0.95, "soundstage_queue_wait_seconds")}),
        ),
        (
            Panel("Frames", "fps", {"{{engine}}": rate("soundstage_frames_total", by="engine")}),
            Panel("Seconds of video per second of work", "short", {"{{engine}}": quantile(0.5, "soundstage_realtime_ratio", "engine")}),
            Panel("Tasks, 95 %", "s", {"{{kind}}": quantile(0.95, "soundstage_task_seconds", "kind")}),
        ),
        (
            Panel("Tasks now", "short", {"{{state}}": "sum by (state) (soundstage_tasks)"}, stack=True),
            Panel("Tasks that failed in an hour", "short", {"{{kind}}": 'sum by (kind) (increase(soundstage_tasks_finished_total{result="failed"}[1h]))'}),
            Panel("Registering a job with Nomad, 95 %", "s", {"": quantile(0.95, "soundstage_nomad_dispatch_seconds")}),
        ),
        (
            Panel("Publications", "short", {"{{state}}": newest("soundstage_publications", "state")}, "stat"),
            Panel("Webhooks", "short", {"{{state}}": newest("soundstage_webhook_deliveries", "state")}, "stat"),
            Panel("Files in the blob store", "bytes", {"": "max(soundstage_blob_bytes)"}),
        ),
    ),
)  # fmt: skip
CONVERSATION = Dashboard(
    "conversation",
    "Soundstage: conversation",
    (
        (
            Panel("Turns by what answered", "cpm", {"{{backend}}": f"60 * {rate('soundstage_routing_total', by='backend')}"}, stack=True),
            Panel("Turns that failed", "cpm", {"{{backend}} {{result}}": "60 * " + rate("soundstage_routing_total", 'result!="ok"', "backend, result")}),
            Panel("Time of a turn", "s", {"half": quantile(0.5, "soundstage_turn_seconds"), "95 %": quantile(0.95, "soundstage_turn_seconds")}),
        ),
        (
            Panel("First sound", "s", {"half": quantile(0.5, "soundstage_voice_first_audio_seconds"), "95 %": quantile(0.95, "soundstage_voice_first_audio_seconds")}),
            Panel("Interruptions, 95 %", "s", {"": quantile(0.95, "soundstage_voice_barge_in_seconds")}),
            Panel("Conversations aloud", "short", {"{{state}}": "sum by (state) (soundstage_voice_sessions)"}, stack=True),
        ),
        (
            Panel("First piece of a model, 95 %", "s", {"{{model}}": quantile(0.95, "soundstage_model_first_piece_seconds", "model")}),
            Panel("Time of a model, 95 %", "s", {"{{model}}": quantile(0.95, "soundstage_model_seconds", "model")}),
            Panel("Tokens", "cps", {"{{model}} {{kind}}": rate("soundstage_model_tokens_total", by="model, kind")}),
        ),
        (
            Panel("Tools, 95 %", "s", {"{{tool}}": quantile(0.95, "soundstage_tool_seconds", "tool")}),
            Panel("Tools that failed in an hour", "short", {"{{tool}}": 'sum by (tool) (increase(soundstage_tool_seconds_count{result="failed"}[1h]))'}),
            Panel("Requests to models that failed", "cpm", {"{{model}} {{outcome}}": "60 * " + rate("soundstage_model_requests_total", 'outcome!="ok"', "model, outcome")}),
        ),
        (
            Panel("Approvals", "short", {"{{state}}": newest('soundstage_approvals{state=~"pending|running|lost"}', "state")}, "stat"),
            Panel("Oldest approval", "s", {"": "max(soundstage_approval_oldest_wait_seconds)"}, "stat"),
            Panel("Triggers", "short", {"{{state}}": newest("soundstage_triggers", "state")}, "stat"),
        ),
    ),
)  # fmt: skip
MACHINES = Dashboard(
    "machines",
    "Soundstage: machines",
    (
        (
            Panel("Machines", "short", {"{{state}}": newest("soundstage_machines", "state")}, "stat"),
            Panel("What checks find", "short", {"{{instance}} {{code}}": "max by (instance, check, code) (soundstage_node_problems)"}, "table"),
            Panel("Targets that do not answer", "short", {"{{job}} {{instance}}": "up == 0"}, "table"),
        ),
        (
            Panel("Processors", "percentunit", {"{{instance}}": '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'}),
            Panel("Memory", "percentunit", {"{{instance}}": "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"}),
            Panel("Disks", "percentunit", {"{{instance}} {{mountpoint}}": '1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / node_filesystem_size_bytes'}),
        ),
        (
            Panel("Temperature of cards", "celsius", {"{{instance}} {{card}}": newest("soundstage_card_temperature_celsius", "instance, card")}),
            Panel("Load of cards", "percentunit", {"{{instance}} {{card}}": newest("soundstage_card_load_ratio", "instance, card")}),
            Panel(
                "Memory of cards", "percentunit",
                {"{{instance}} {{card}}": f'{newest("soundstage_card_memory_used_bytes", "instance, card")} / {newest("soundstage_card_memory_bytes", "instance, card")}'},
            ),
        ),
        (
            Panel("Power of cards", "watt", {"{{instance}} {{card}}": newest("soundstage_card_power_watts", "instance, card")}),
            Panel("Memory errors of cards", "short", {"{{instance}} {{card}} {{kind}}": newest("soundstage_card_ecc_errors", "instance, card, kind")}),
            Panel("Network", "Bps", {"{{instance}}": 'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[$__rate_interval]))'}),
        ),
        (
            Panel("Clocks", "s", {"{{instance}}": "node_time_seconds - timestamp(node_time_seconds)"}),
            Panel("Certificates end in", "s", {"{{instance}} {{path}}": "soundstage_node_certificate_expires_timestamp_seconds - time()"}, "stat"),
            Panel("Stages of a boot, half", "s", {"{{stage}}": quantile(0.5, "soundstage_boot_stage_seconds", "stage")}),
        ),
        (
            Panel("Runs of Ansible ended in an hour", "short", {"{{result}}": "sum by (result) (increase(soundstage_runs_total[1h]))"}),
            Panel("Time of a run, 95 %", "s", {"{{result}}": quantile(0.95, "soundstage_run_seconds", "result")}),
            Panel("Consul is healthy", "short", {"healthy": "sum(consul_autopilot_healthy)"}, "stat"),
        ),
    ),
)  # fmt: skip
DASHBOARDS = (FARM, RENDERS, CONVERSATION, MACHINES)


def expressions(dashboard: Dashboard) -> list[str]:
    """Returns every query."""
    return [query for row in dashboard.rows for panel in row for query in panel.queries.values()]


def document(dashboard: Dashboard) -> dict[str, Any]:
    """Returns what Grafana imports."""
    panels: list[dict[str, Any]] = []
    for line, row in enumerate(dashboard.rows):
        width = WIDTH // len(row)
        for column, panel in enumerate(row):
            place = {"h": HEIGHT, "w": width, "x": column * width, "y": line * HEIGHT}
            panels.append(_panel(panel, len(panels) + 1, place))
    return {
        "uid": f"soundstage-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["soundstage"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "Soundstage", "tags": ["soundstage"], "asDropdown": True}],
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind in ("stat", "table")
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend or panel.title,
            "instant": now,
            "range": not now,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stack else {}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": {},
        "targets": targets,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file has drifted")
    check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    drifted = []
    for one in DASHBOARDS:
        file = FOLDER / f"{one.name}.json"
        text = json.dumps(document(one), indent=1, ensure_ascii=False) + "\n"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            drifted.append(file.name)
            if not check:
                file.write_text(text, encoding="utf-8")
    if check and drifted:
        print(f"Drifted: {', '.join(drifted)}. Run `make docs`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
