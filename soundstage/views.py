"""Fills wire types from rows of the database; the services of all rooms call it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=BaseModel)


def read_view(view: type[View], row: object, **others: object) -> View:
    """Returns a `view` with `others`, and its other fields from the attributes of the same name of `row`."""
    fields = {name: getattr(row, name) for name in view.model_fields if name not in others}
    return view.model_validate(fields | others)
