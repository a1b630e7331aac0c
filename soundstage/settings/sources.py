"""Reads settings from a TOML file and the environment; called by `load`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

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


class NamedSource(PydanticBaseSettingsSource):
    """A nested mapping, and for each of its values the place to name in an error."""

    def __init__(
        self, settings_cls: type[BaseSettings], values: dict[str, Any], places: dict[str, str]
    ) -> None:
        super().__init__(settings_cls)
        self.values = values
        self.places = places

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One top-level value, as pydantic-settings asks for it."""
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self.values


def file_source(settings_cls: type[BaseSettings], path: Path | None) -> NamedSource:
    """`path`, which must exist; or with None the default file, which may be missing."""
    chosen = path or DEFAULT_FILE
    try:
        values = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if path is None:
            return NamedSource(settings_cls, {}, {})
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
    return NamedSource(settings_cls, values, {name: str(chosen) for name in _leaves(values)})


def environment_source(settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> NamedSource:
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
    return NamedSource(settings_cls, values, places)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        names.append(name)
        if isinstance(value, Mapping):
            names.extend(_leaves(value, f"{name}."))
    return names
