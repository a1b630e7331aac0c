"""Reads a spec file and explains what is wrong with it, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from avatar.errors import InvalidInput
from avatar.spec import LipsyncSpec, RenderSpec, SpecModel

if TYPE_CHECKING:
    import yaml

S = TypeVar("S", bound=SpecModel)
MAX_SHOWN = 5
YAML_SUFFIXES = (".yaml", ".yml")


def read_render_spec(path: Path) -> RenderSpec:
    """Raises `InvalidInput` (`spec.missing`, `spec.empty`, `spec.invalid`), naming each bad field."""
    return _read(path, RenderSpec)


def read_lipsync_spec(path: Path) -> LipsyncSpec:
    """As `read_render_spec`."""
    return _read(path, LipsyncSpec)


def _read(path: Path, kind: type[S]) -> S:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            "spec.missing", f"The spec {path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    if not text.strip():
        raise InvalidInput(
            "spec.empty", f"The spec {path} is empty.", "Write a RenderSpec into it, as JSON or YAML."
        )
    try:
        return kind.model_validate_json(_json_of(text, path))
    except ValidationError as error:
        raise invalid_spec(error) from error


def _json_of(text: bytes, path: Path) -> bytes:
    """The spec as JSON; YAML by the name of its file. Raises InvalidInput `spec.invalid_yaml`."""
    if path.suffix.lower() not in YAML_SUFFIXES:
        return text
    import yaml

    try:
        value = yaml.load(text, Loader=_yaml_loader())  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f" in line {where.line + 1}"
        problem = getattr(error, "problem", None) or "it is not UTF-8 text"
        raise InvalidInput(
            "spec.invalid_yaml",
            f"The spec {path} is no YAML{line}: {problem}.",
            "Put colours and times into quotes, and indent by spaces.",
        ) from error
    return json.dumps(value).encode()


def _yaml_loader() -> type[yaml.SafeLoader]:
    """A loader that knows what JSON knows: a date stays text, and so do yes, no, on and off."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        if first not in "yYnNoO"
    }
    return Loader


@contextmanager
def report_invalid_fields() -> Iterator[None]:
    """Reports invalid arguments as those of a spec: raises InvalidInput `spec.invalid`."""
    try:
        yield
    except ValidationError as error:
        raise invalid_spec(error, "What is asked for") from error


def invalid_spec(error: ValidationError, what: str = "The spec") -> InvalidInput:
    """One sentence that names each bad field and says what it should be."""
    problems = error.errors(include_url=False, include_context=False)
    problems = [one for one in problems if not _repeats(one, problems)]
    shown = [
        f"{_where(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in problems[:MAX_SHOWN]
    ]
    more = len(problems) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    return InvalidInput(
        "spec.invalid",
        f"{what} does not hold: " + "; ".join(shown) + ".",
        "Correct the named fields; docs/reference/renderspec lists what each may be.",
    )


def _repeats(problem: ErrorDetails, problems: Sequence[ErrorDetails]) -> bool:
    """A list whose items failed is called too short besides, which tells nothing new."""
    inside = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(one["loc"]) > len(inside) and one["loc"][: len(inside)] == inside for one in problems
    )


def _where(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.lstrip(".") or "the whole file"
