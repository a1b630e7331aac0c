"""Cuts an event of Ansible down to what people read and plans need; used inside the process of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provisioning_api.runs.schemas import Line
from soundstage.telemetry.masking import mask_text

KINDS = {
    "playbook_on_play_start": "play",
    "playbook_on_task_start": "task",
    "playbook_on_handler_task_start": "task",
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
    "runner_retry": "retry",
    "playbook_on_stats": "stats",
    "warning": "warning",
    "deprecated": "warning",
    "error": "error",
}
MESSAGE_CHARS, OUTPUT_CHARS = 2000, 4000
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def line_of(event: Mapping[str, Any]) -> Line | None:
    """None for what says nothing (starts of single hosts, blank lines)."""
    kind = KINDS.get(str(event.get("event")))
    output = _COLOURS.sub("", str(event.get("stdout") or "")).strip()
    data: Mapping[str, Any] = event.get("event_data") or {}
    if kind is None:
        return Line(kind="output", output=_cut(output, OUTPUT_CHARS)) if output else None
    result = data.get("res")
    result = result if isinstance(result, Mapping) else {}
    return Line(
        kind=kind,
        host=str(data.get("host") or ""),
        play=_cut(str(data.get("play") or data.get("name") or ""), 300),
        task=_cut(str(data.get("task") or ""), 300),
        action=str(data.get("resolved_action") or data.get("task_action") or ""),
        changed=bool(result.get("changed")),
        ignored=bool(data.get("ignore_errors")),
        seconds=round(float(data["duration"]), 3) if isinstance(data.get("duration"), int | float) else None,
        ended_at=_moment(data.get("end")),
        message=_message(result) if kind in ("failed", "unreachable", "retry") else "",
        output=_cut(output, OUTPUT_CHARS),
        stats=_stats(data) if kind == "stats" else None,
    )


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _message(result: Mapping[str, Any]) -> str:
    if result.get("censored"):
        return str(result["censored"])
    messages = [
        str(result[name]).strip() for name in ("msg", "stderr", "module_stderr", "reason") if result.get(name)
    ]
    return _cut("\n".join(dict.fromkeys(messages)), MESSAGE_CHARS)


def _stats(data: Mapping[str, Any]) -> dict[str, Any]:
    names = ("processed", "ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")
    return {name: dict(data.get(name) or {}) for name in names}


def _cut(text: str, limit: int) -> str:
    text = mask_text(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
