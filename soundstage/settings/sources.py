"""Reads settings from a TOML file and the environment; called by `load`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundstage.errors import Invalid, NotFound

DEFAULT_FILE = Path("config.toml")
PREFIX = "SOUNDSTAGE_"
NESTED = "__"

# Short names that people had before there were sections.
ENV_ALIASES: Mapping[str, str] = {"API_KEY_HASHES": "AUTH__API_KEY_HASHES"}

# Variables with our prefix that are not settings: those of the command line, then those that playbooks, labs,
# images and scripts read. People export them, and programs that they start inherit them.
NOT_SETTINGS = frozenset({"API_KEY", "URL", "COMPLETE", "CONFIG_FILE", "SERVER", "VOICE_WORKER_TOKEN"}) | {
    "SET_BY_UP",
    *("FARM_SECRETS", "ROLE_SECONDS", "RUN"),
    *("CONSUL", "CONSUL_SHA", "NOMAD", "NOMAD_SHA", "UV", "PACK_PYTHON", "PACK_PLATFORM"),
    *("TOOLS", "TOOLS_PINNED", "IMAGE_CACHE", "LAB_CACHE", "LAB_GPU", "LAB_KVM"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A nested mapping, and for each of its values the place to name in an error."""

    values: dict[str, Any]
    places: dict[str, str]


def read_file(path: Path | None) -> Source:
    """`path`, which must exist; or with None the default file, which may be missing."""
    chosen = path or DEFAULT_FILE
    try:
        values = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if path is None:
            return Source({}, {})
        raise NotFound(
            "settings.file_missing",
            f"There is no settings file {path}.",
            "Check the path given with -c/--config-file.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            "settings.file_unreadable",
            f"{chosen} is not a TOML file: {error}.",
            "See https://toml.io for the format.",
        ) from error
    except OSError as error:
        raise Invalid(
            "settings.file_unreadable", f"{chosen} cannot be read: {error.strerror}.", "Check its rights."
        ) from error
    return Source(values, {name: str(chosen) for name in _leaves(values)})


def read_environment(environment: Mapping[str, str]) -> Source:
    """`SOUNDSTAGE_HTTP__PORT=9000` is `http.port`. Empty variables count as not set."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in NOT_SETTINGS or name.startswith("_") or not text.strip():
            continue
        parts = [part.lower() for part in ENV_ALIASES.get(name, name).split(NESTED)]
        place = values
        for part in parts[:-1]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = place[part] = {}
            place = inner
        place[parts[-1]] = text
        places[".".join(parts)] = variable
    return Source(values, places)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns both, section by section; `over` wins."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        both_are_sections = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = merge(below or {}, value) if both_are_sections else value
    return merged


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        names.append(name)
        if isinstance(value, Mapping):
            names.extend(_leaves(value, f"{name}."))
    return names
