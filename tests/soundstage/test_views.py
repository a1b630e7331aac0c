"""A view is filled from its row."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from soundstage.views import read_view


class _View(BaseModel):
    id: str
    tries: int
    usable: bool = True


def test_a_view_reads_its_fields_from_the_row_and_takes_the_others() -> None:
    row = SimpleNamespace(id="a", tries=2, usable=None, secret="not shown")
    view = read_view(_View, row, usable=False)
    assert view.model_dump() == {"id": "a", "tries": 2, "usable": False}


def test_a_row_without_the_attribute_of_a_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        read_view(_View, SimpleNamespace(id="a"), usable=False)
