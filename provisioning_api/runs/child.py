"""The process of one run: `python -m provisioning_api.runs.child FOLDER`, started by `process`.

Ansible itself is yet another program below this one, started by ansible-runner. This process outlives the
API: what it leaves in its folder (`events.jsonl`, then `end.json`) is read by whichever API process is
there. It was born with a lock on `alive`, and holds it as long as it lives.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import ansible_runner

from provisioning_api.runs.lines import line_of
from provisioning_api.runs.schemas import End

ALIVE, ORDER, EVENTS, END = "alive", "order.json", "events.jsonl", "end.json"
LIMIT = "limit"


def main(folder: Path) -> int:
    order = json.loads((folder / ORDER).read_bytes())
    try:
        end = _run(folder, order)
    except Exception as error:  # the API must learn of whatever it was
        end = End(status="error", rc=70, reason=f"{type(error).__name__}: {error}"[:2000])
    _write_whole(folder / END, end.model_dump_json())
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


def _write_whole(path: Path, text: str) -> None:
    half = path.with_suffix(".part")
    with half.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
