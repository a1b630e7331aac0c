"""Tags of assets, projects and videos: words by which people find a thing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import ColumnElement, SQLColumnExpression, Text, cast

from soundstage.one_line import OneLine

MAX_TAGS = 50


def _split(value: object) -> object:
    """A form has one text with commas."""
    return [one for one in value.split(",") if one.strip()] if isinstance(value, str) else value


def _sorted_once(tags: list[str]) -> list[str]:
    return sorted(set(tags))


def _lower(tag: str) -> str:
    if "," in tag:
        raise ValueError("a tag holds no comma")
    return tag.lower()


Tag = Annotated[OneLine, Field(min_length=1, max_length=60), AfterValidator(_lower)]
"""In lower case, without breaks and commas."""
Tags = Annotated[list[Tag], BeforeValidator(_split), Field(max_length=MAX_TAGS), AfterValidator(_sorted_once)]
TagQuery = Annotated[list[Tag] | None, Query(max_length=20, description="one that has all of these tags")]


def has_tags(column: SQLColumnExpression[Any], tags: Sequence[str]) -> list[ColumnElement[bool]]:
    """Returns the conditions that a column with a list in JSON holds each of `tags`, which stand there in
    quotes.
    """
    return [cast(column, Text).contains(json.dumps(tag), autoescape=True) for tag in tags]
