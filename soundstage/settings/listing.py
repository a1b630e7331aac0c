"""Lists all settings with value, default, source and meaning, without secrets; for the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from soundstage.settings.origins import Source
from soundstage.settings.problems import section_of_each
from soundstage.settings.secrets import is_secret, mask_value
from soundstage.settings.sources import ENV_ALIASES, NESTED, PREFIX
from soundstage.settings.tree import Settings

Kind = Literal["text", "number", "switch", "list", "table"]


class SettingView(BaseModel):
    """One setting. `value` and `default` of a secret are null: `is_set` says whether there is one."""

    name: str = Field(description="path in the file, such as `http.port`")
    meaning: str
    value: JsonValue = Field(description="in force in this server; passwords in addresses are masked")
    default: JsonValue
    kind: Kind = Field(description="how it is written in the file")
    choices: list[str] = Field(description="the values that it can have; empty: any of its kind")
    is_secret: bool
    is_set: bool = Field(description="whether it has another value than none")
    source: Source = Field(description="`start`: chosen by `soundstage up`, such as a free port")
    variable: str = Field(description="the variable of the environment that sets it")


class SectionView(BaseModel):
    """The settings of one table of the file; `name` is empty for those above all tables."""

    name: str
    meaning: str
    settings: list[SettingView]


def list_settings(settings: Settings) -> list[SectionView]:
    """Returns the sections in the order of the reference; those without values of their own are left out."""
    return [one for one in _sections(settings, settings, "", "") if one.settings]


def _sections(root: Settings, section: BaseModel, name: str, meaning: str) -> Iterator[SectionView]:
    prefix = f"{name}." if name else ""
    inner: list[tuple[BaseModel, str]] = []
    listed: list[SettingView] = []
    for field_name, field in type(section).model_fields.items():
        value, path = getattr(section, field_name), f"{prefix}{field_name}"
        if isinstance(value, BaseModel):
            inner.append((value, path))
            continue
        if section_of_each(field.annotation) is not None:
            inner += [(one, f"{path}.{key}") for key, one in value.items()]
            value = sorted(value)
        listed.append(_view(root, path, field, value))
    yield SectionView(name=name, meaning=meaning, settings=listed)
    for one, path in inner:
        first_paragraph = (type(one).__doc__ or "").strip().split("\n\n")[0]
        yield from _sections(root, one, path, " ".join(first_paragraph.split()))


def _view(root: Settings, path: str, field: FieldInfo, value: object) -> SettingView:
    secret = is_secret(field)
    default = field.get_default(call_default_factory=True, validated_data={})
    # A setting that must be named has no default.
    plain = None if field.is_required() else to_jsonable_python(default)
    source = root.origins.source_of(path)
    return SettingView(
        name=path,
        meaning=field.description or "",
        value=None if secret else mask_value(value),
        default=None if secret else plain,
        kind=_kind(field.annotation),
        choices=_choices(field.annotation),
        is_secret=secret,
        is_set=value not in (None, "", (), [], {}),
        # `up` names the port that it has taken also where it is the usual one.
        source="default" if source == "start" and value == default else source,
        variable=_variable(path),
    )


def _variable(path: str) -> str:
    name = path.replace(".", NESTED).upper()
    return PREFIX + next((short for short, long in ENV_ALIASES.items() if long == name), name)


def _kind(annotation: Any) -> Kind:
    """Returns the kind of the first type that an annotation names; one of several is None."""
    kinds: dict[Any, Kind] = {bool: "switch", int: "number", float: "number", tuple: "list", dict: "table"}
    plain = get_origin(annotation) or annotation
    if plain in kinds:
        return kinds[plain]
    if plain is Literal:
        return "text"
    found = (_kind(one) for one in get_args(annotation) if one is not type(None))
    return next((kind for kind in found if kind != "text"), "text")


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    return next((found for one in get_args(annotation) if (found := _choices(one))), [])
