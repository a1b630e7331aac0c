"""Describes and reads bodies that a route reads by itself, because it takes several kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
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


def form_body(
    file: str,
    fields: Mapping[str, str | Mapping[str, Any]],
    *,
    required: Sequence[str] = ("file",),
    others: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Describes a route that takes a form with a file. `file` and `fields`: what each is, or the schema of a
    field; `others`: schemas of the other media types that it takes.
    """

    def text(description: str, **more: str) -> dict[str, str]:
        return {"type": "string", **more, **({"description": description} if description else {})}

    properties = {name: text(one) if isinstance(one, str) else one for name, one in fields.items()}
    form = {
        "type": "object",
        "required": list(required),
        "properties": {"file": text(file, format="binary"), **properties},
    }
    content = {"multipart/form-data": form, **others}
    schemas = {media_type: {"schema": schema} for media_type, schema in content.items()}
    return {"requestBody": {"required": True, "content": schemas}}


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns what it refers to stands where the whole document has its types: some other route must use them
    too.
    """
    schema = model.model_json_schema(ref_template=REFERENCE)
    schema.pop("$defs", None)
    return schema
