"""The verbs that make nothing: which engines are here, and whether the machine has what they need."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import asdict

from avatar.engines.registry import ENGINE_MODULES, engine_info
from avatar.errors import Unavailable
from avatar.pipeline.doctor import examine

MARKS = {"ok": "ok      ", "limited": "limited ", "missing": "missing "}


def print_engines(arguments: Namespace) -> int:
    """One engine per line, or one JSON list."""
    found = []
    for kind in ENGINE_MODULES:
        try:
            found.append({"face": kind, "available": True, **asdict(engine_info(kind))})
        except Unavailable as error:
            found.append({"face": kind, "available": False, "code": error.code, "message": error.message})
    if arguments.json:
        _print(json.dumps(found))
        return 0
    for engine in found:
        if engine["available"]:
            needs = f"{engine['gpus']} GPU, {engine['vram_mib']} MiB" if engine["gpus"] else "CPU"
            _print(f"{engine['face']:<7} {engine['name']} {engine['version']}  {engine['licence']}  {needs}")
        else:
            _print(f"{engine['face']:<7} not available: {engine['message']}")
    return 0


def print_doctor(arguments: Namespace) -> int:
    """One check per line, or one JSON list; 1 when something the worker cannot do without is missing."""
    checks = examine(arguments.cache)
    if arguments.json:
        _print(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            _print(f"{MARKS[check.state]}{check.name:<24} {check.detail}")
            if check.hint:
                _print(f"{'':<32} {check.hint}")
    return int(any(check.state == "missing" for check in checks))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
