"""Describes bodies that a route reads by itself, because it takes several kinds; for `openapi_extra`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

REFERENCE = "#/components/schemas/{model}"


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns what it refers to stands where the whole document has its types: some other route must use them
    too.
    """
    schema = model.model_json_schema(ref_template=REFERENCE)
    schema.pop("$defs", None)
    return schema
