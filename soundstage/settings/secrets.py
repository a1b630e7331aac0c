"""Tells which settings are secret, and shows the others without the passwords in their addresses."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from soundstage.telemetry.masking import MASK, mask_text

SECRET: dict[str, Any] = {"writeOnly": True}
"""For `json_schema_extra` of a field that is never shown; JSON Schema's word for it."""

# The user of a web address is as often a token as a name; that of a database is a name.
_WEB_USER = re.compile(r"(?i)(?<=://)[^\s/?#@]+@")
_QUERY_VALUE = re.compile(r"([?&;][^=&;#\s]+)=[^&;#\s]+")


def is_secret(field: FieldInfo) -> bool:
    """Returns whether the value of a field is never shown."""
    extra = field.json_schema_extra
    return (isinstance(extra, dict) and bool(extra.get("writeOnly"))) or _holds_secret(field.annotation)


def mask_value(value: object) -> Any:
    """Returns a value that is no secret as JSON, without keys, and without what addresses hold of them."""
    plain = to_jsonable_python(value)
    if isinstance(plain, str):
        return _shown_text(plain)
    if isinstance(plain, list):
        return [mask_value(one) for one in plain]
    if isinstance(plain, dict):
        return {name: mask_value(one) for name, one in plain.items()}
    return plain


def _shown_text(text: str) -> str:
    if "://" not in text:
        return mask_text(text)
    if text.lower().startswith(("http://", "https://", "ws://", "wss://")):
        text = _WEB_USER.sub(f"{MASK}@", text)
    return mask_text(_QUERY_VALUE.sub(rf"\1={MASK}", text))


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(one) for one in get_args(annotation))
