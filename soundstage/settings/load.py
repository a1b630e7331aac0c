"""Reads the settings at the start of a process; called by the CLI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from soundstage.errors import Invalid
from soundstage.settings.origins import SET_BY_UP, SettingOrigins
from soundstage.settings.problems import SettingProblem, explain
from soundstage.settings.sources import DEFAULT_FILE, merge, read_environment, read_file
from soundstage.settings.tree import Settings


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The file (default `./config.toml`, if it is there), then `SOUNDSTAGE_*` variables over it.

    Raises Invalid `settings.invalid`, whose message has one line per bad value.
    """
    settings, problems = _read(path, os.environ if environment is None else environment)
    if settings is None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise Invalid(
            "settings.invalid", f"The settings cannot be used:{lines}", "Run `soundstage config check`."
        )
    return settings


def check_settings(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[SettingProblem]:
    """Every bad value, explained; empty when all is well. Raises only when the file itself cannot be read."""
    return _read(path, os.environ if environment is None else environment)[1]


def _read(path: Path | None, environment: Mapping[str, str]) -> tuple[Settings | None, list[SettingProblem]]:
    variables, file = read_environment(environment), read_file(path)
    origins = SettingOrigins(
        chosen=path,
        file=(path or DEFAULT_FILE).absolute(),
        written=frozenset(file.places),
        variables=variables.places,
        set_by_up=frozenset(environment.get(SET_BY_UP, "").split(",")),
    )
    try:
        settings = Settings.model_validate(merge(file.values, variables.values))
        return settings.with_origins(origins), []
    except ValidationError as error:
        return None, explain(error, Settings, [variables.places, file.places])
