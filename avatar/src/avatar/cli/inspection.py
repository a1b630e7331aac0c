"""The verbs that make nothing: which engines are here, and whether the machine has what they need."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from avatar.engines.card_mode import min_mib
from avatar.engines.neural.choice import Machine, uses_networks
from avatar.engines.registry import engine_info
from avatar.engines.weights import ModelStore, models_folder
from avatar.errors import Unavailable
from avatar.face.insightface_adapter import (
    insightface_app,
    insightface_is_configured,
    licence_notice,
    tracker_info,
)
from avatar.pipeline.doctor import examine
from avatar.spec import EngineName

MARKS = {"ok": "ok      ", "limited": "limited ", "missing": "missing "}
FACES: dict[EngineName, tuple[str, ...]] = {
    "rig": ("rig",),
    "mesh": ("photo",),
    "motion": ("video",),
    "liveportrait": ("photo", "video"),
    "latentsync": ("video",),
    "liveportrait+latentsync": ("photo",),
}
"""Which kinds of face each engine draws."""
STATES = {
    "available": "available",
    "not_installed": "not installed",
    "no_card": "no card",
    "card_too_old": "card too old",
    "weights_missing": "weights missing",
    "too_little_memory": "too little memory",
}


def print_engines(arguments: Namespace) -> int:
    """One engine per line, or one JSON list."""
    machine = Machine()
    found = [_engine(name, machine) for name in FACES]
    if insightface_is_configured():
        found.append(_insightface())
    if arguments.json:
        print(json.dumps(found))
        return 0
    for engine in found:
        if engine["role"] == "tracker":
            continue  # its sentence comes last
        faces = ", ".join(engine["faces"])
        print(f"{engine['engine']:<24} {faces:<13} {STATES[engine['state']]:<18} {_needs(engine)}")
        if engine["message"]:
            print(f"{'':<24} {engine['message']}")
        if engine["available"]:
            print(f"{'':<24} {engine['name']} {engine['version']}: {engine['licence']}")
    if insightface_is_configured():
        print(licence_notice().message)
    return 0


def _engine(name: EngineName, machine: Machine) -> dict[str, Any]:
    faces = FACES[name]
    record: dict[str, Any] = {
        "engine": name, "role": "face", "face": faces[0], "faces": list(faces), "message": "",
    }  # fmt: skip
    try:
        record |= asdict(engine_info(name))
    except Unavailable as error:
        status = {"available": False, "state": "not_installed", "code": error.code, "message": error.message}
        return record | status
    found = machine.finding(name)
    record |= {"available": found.state == "available", "state": found.state, "message": found.sentence}
    return record | {"least_vram_mib": min_mib(name) if uses_networks(name) else 0}


def _insightface() -> dict[str, Any]:
    """Returns the record of the tracker where it is switched on, and whether it can run; it draws nothing."""
    record: dict[str, Any] = {"engine": "insightface", "role": "tracker", "face": None, "faces": []}
    record |= asdict(tracker_info()) | {"available": True, "state": "available", "message": ""}
    try:
        insightface_app(ModelStore(models_folder()))
    except Unavailable as error:
        state = "weights_missing" if error.code == "weights.missing" else "not_installed"
        status = {"available": False, "state": state, "code": error.code, "message": error.message}
        return record | status
    return record


def _needs(engine: dict[str, Any]) -> str:
    if not engine.get("gpus"):
        return "no card needed"
    minimum, better = (f"{engine[name] / 1024:.2g}" for name in ("least_vram_mib", "vram_mib"))
    more = f"; {better} GiB are better" if better != minimum else ""
    return f"needs a card, at least {minimum} GiB of it{more}"


def print_doctor(arguments: Namespace) -> int:
    """One check per line, or one JSON list; 1 when something the worker cannot do without is missing."""
    checks = examine(arguments.cache)
    if arguments.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            print(f"{MARKS[check.state]}{check.name:<24} {check.detail}")
            if check.hint:
                print(f"{'':<32} {check.hint}")
    return int(any(check.state == "missing" for check in checks))
