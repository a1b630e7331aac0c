# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how many seconds machines spent in each role to a file; bench/role_runs.py switches it on."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: role_seconds
type: aggregate
short_description: Machine-seconds per role
description:
  - Counts, for each task and machine, the time from its start to its end, and adds it up by role.
options:
  file:
    description: Where to write them, as JSON.
    env:
      - name: SOUNDSTAGE_ROLE_SECONDS
    required: true
"""


class CallbackModule(CallbackBase):
    """`{role: {"machine_seconds": …, "tasks": …}}` at the end of the run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "soundstage.farm.role_seconds"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[tuple[str, str], float] = {}
        self._seconds: dict[str, float] = defaultdict(float)
        self._tasks: dict[str, int] = defaultdict(int)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started[(host.get_name(), task._uuid)] = time.monotonic()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        counted = {
            role: {"machine_seconds": round(seconds, 2), "tasks": self._tasks[role]}
            for role, seconds in sorted(self._seconds.items(), key=lambda pair: -pair[1])
        }
        Path(self.get_option("file")).write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")

    def v2_runner_on_ok(self, result: Any, ignore_errors: bool = False) -> None:
        """Counts the task of a machine, however it has ended."""
        task = result._task
        started = self._started.pop((result._host.get_name(), task._uuid), None)
        if started is not None:
            role = task._role.get_name() if task._role else "(no role)"
            self._seconds[role] += time.monotonic() - started
            self._tasks[role] += 1

    v2_runner_on_failed = v2_runner_on_unreachable = v2_runner_on_skipped = v2_runner_on_ok
