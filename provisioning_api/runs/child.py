"""The process of one run: `python -m provisioning_api.runs.child FOLDER`, started by `process`.

Ansible itself is yet another program below this one, started by ansible-runner. This process outlives the
API: what it leaves in its folder (`events.jsonl`, then `end.json`) is read by whichever API process is
there. It was born with a lock on `alive`, and holds it as long as it lives.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ansible_runner

from provisioning_api.runs.schemas import End, Line
from soundstage.one_line import shorten
from soundstage.private_files import replace_file
from soundstage.telemetry.masking import mask_text

ALIVE, ORDER, EVENTS, END = "alive", "order.json", "events.jsonl", "end.json"
LIMIT = "limit"


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
    return shorten(mask_text(text), limit)


def main(folder: Path) -> int:
    order = json.loads((folder / ORDER).read_bytes())
    try:
        end = _run(folder, order)
    except Exception as error:  # the API must learn of whatever it was
        end = End(status="error", rc=70, reason=f"{type(error).__name__}: {error}"[:2000])
    replace_file(folder / END, end.model_dump_json().encode())
    return end.rc


def _run(folder: Path, order: dict[str, Any]) -> End:
    with (folder / EVENTS).open("a", encoding="utf-8") as events:

        def tell(event: dict[str, Any]) -> bool:
            if (line := line_of(event)) is not None:
                events.write(line.model_dump_json(exclude_defaults=True) + "\n")
                events.flush()
            # No file per event: thousands of small ones are what makes long runs slow.
            return False

        ran = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=order["project_dir"],
            playbook=order["playbook"],
            inventory=str(folder / "inventory" / "hosts.json"),
            limit=f"@{folder / LIMIT}",
            ident="artefacts",
            cmdline=order["cmdline"] or None,
            forks=order["forks"],
            envvars=order["environment"],
            timeout=order["timeout_s"],
            suppress_env_files=True,
            quiet=True,
            event_handler=tell,
        )
    return End(status=str(ran.status), rc=int(ran.rc or 0), reason=_last_words(folder) if ran.rc else "")


def _last_words(folder: Path) -> str:
    """The end of what Ansible printed, for failures that never became an event (a playbook that is no
    YAML).
    """
    try:
        return (folder / "artifacts" / "artefacts" / "stdout").read_text(errors="replace")[-2000:]
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
