"""Wire types of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from policy.keys.states import KeyState
from soundstage.database.tenants import NAME_CHARS, NAME_PATTERN
from soundstage.moments import Moment

MAX_SCOPES = 100


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text on one line")
    return text


class KeyRequest(BaseModel, extra="forbid", str_strip_whitespace=True):
    """The request for a new key."""

    name: Annotated[str, AfterValidator(_printable)] = Field(
        min_length=1, max_length=100, description="what it is for"
    )
    role: str = "viewer"
    tenant: str | None = Field(
        default=None,
        max_length=NAME_CHARS,
        pattern=NAME_PATTERN,
        description="whose things it works on; null: its maker's. Others are named by the operator only",
    )
    scopes: list[str] | None = Field(
        default=None,
        max_length=MAX_SCOPES,
        description="narrows the role: `render:create`, `render:*`; null: all of it",
    )
    expires_at: Moment | None = Field(default=None, description="null: never")


class KeyView(BaseModel):
    """A key as callers with `key:read` see it: without the secret."""

    id: str
    name: str
    tenant: str
    role: str
    scopes: list[str] | None
    state: KeyState
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None


class CreatedKey(KeyView):
    """The answer to making or rotating: the only time that `key` is ever shown."""

    key: str
