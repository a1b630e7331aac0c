"""Describes and reads bodies that a route reads by itself, because it takes several kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from soundstage.errors import Invalid

REFERENCE = "#/components/schemas/{model}"
Model = TypeVar("Model", bound=BaseModel)


def read_body(
    kind: type[Model], body: bytes | Mapping[str, object], refusal: Callable[[str, str], Invalid]
) -> Model:
    """Returns JSON or the fields of a form as `kind`. Raises what `refusal` makes of the first field that
    cannot be used, and why.
    """
    try:
        return kind.model_validate_json(body) if isinstance(body, bytes) else kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise refusal(where, first["msg"]) from error


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns what it refers to stands where the whole document has its types: some other route must use them
    too.
    """
    schema = model.model_json_schema(ref_template=REFERENCE)
    schema.pop("$defs", None)
    return schema
