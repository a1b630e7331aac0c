"""Explains bad settings one by one, without ever showing a secret; used by `soundstage config check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from soundstage.telemetry.masking import MASK, is_secret_name, mask_text

LONGEST_VALUE = 80
REMOVED = MappingProxyType(
    {
        "auth.loopback_is_admin": "it is no setting any more: no caller is an administrator because of an "
        "address; delete it. `soundstage open` logs a browser in, and programs of this machine have a key in "
        "`state_dir/local/key`",
    }
)
"""What stands in for settings of former versions."""


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One bad value: its path (`http.port`), where it was written, itself (masked), what is expected."""

    path: str
    source: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path} = {self.value} (from {self.source}): {self.expected}"


def explain(
    error: ValidationError, root: type[BaseModel], places: Sequence[Mapping[str, str]]
) -> list[SettingProblem]:
    """One problem per bad value. `places` map paths to where they were written, the strongest first."""
    problems: list[SettingProblem] = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"] if not isinstance(part, int))
        if item["type"] == "extra_forbidden":
            expected = REMOVED.get(path) or _unknown(path, root)
        else:
            expected = _expectation(path, root, cast(Mapping[str, Any], item))
        problem = SettingProblem(path, _source(path, places), _shown(path, item["input"]), expected)
        # Two bad members of one list would read the same.
        if problem not in problems:
            problems.append(problem)
    return sorted(problems, key=lambda problem: problem.path)


def setting_names(root: type[BaseModel], prefix: str = "") -> dict[str, type[BaseModel] | None]:
    """Every path below `root`; sections map to their class, values to None."""
    names: dict[str, type[BaseModel] | None] = {}
    for name, field in root.model_fields.items():
        path = f"{prefix}{name}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names[path] = kind
            names.update(setting_names(kind, f"{path}."))
        else:
            names[path] = None
            if (of_each := section_of_each(kind)) is not None:
                names[f"{path}.NAME"] = of_each
                names.update(setting_names(of_each, f"{path}.NAME."))
    return names


def section_of_each(annotation: Any) -> type[BaseModel] | None:
    """Returns the class of the sections that a setting maps names to; None for any other setting."""
    values = get_args(annotation)[1:] if get_origin(annotation) is dict else ()
    return next((one for one in values if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _unknown(path: str, root: type[BaseModel]) -> str:
    names = list(setting_names(root))
    section, _, last = path.rpartition(".")
    near = get_close_matches(path, names, n=1, cutoff=0.75)
    if not near:
        # The right name in the wrong section, or a misspelt last part.
        lasts = {name.rpartition(".")[2]: name for name in names}
        near = [lasts[found] for found in get_close_matches(last, lasts, n=1, cutoff=0.8)]
    if near:
        return f"there is no such setting; did you mean `{near[0]}`?"
    where = f"in the section `{section}`" if section else "at the top"
    here = sorted(name for name in names if name.rpartition(".")[0] == section)
    return (
        f"there is no such setting; {where} there are: {', '.join(here)}"
        if here
        else "there is no such section"
    )


def _expectation(path: str, root: type[BaseModel], item: Mapping[str, Any]) -> str:
    section = setting_names(root).get(path)
    if section is not None:
        return f"it should be a table with: {', '.join(sorted(section.model_fields))}"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message.removeprefix("Input ")
    return f"it {message}" if message.startswith("should") else message


def _source(path: str, places: Sequence[Mapping[str, str]]) -> str:
    for known in places:
        for written, place in known.items():
            # A whole unknown section is named where one of its values stands.
            if written == path or written.startswith(f"{path}."):
                return place
    return "the defaults"


def _shown(path: str, value: Any) -> str:
    if is_secret_name(path.rpartition(".")[2]) or "hash" in path:
        return MASK
    if isinstance(value, Mapping):
        return "a table"
    text = mask_text(repr(value))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
