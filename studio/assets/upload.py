"""Takes an upload off the wire as it comes, form or raw body; nothing is held in memory or written twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from soundstage.errors import Invalid, TooLarge
from studio.assets.schemas import AssetLabels
from studio.bodies import read_body

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES = 64 * 1024
MAX_FORM_BYTES = 4 * MAX_FIELD_BYTES
"""What a form has beside its file."""


@dataclass(slots=True)
class Upload:
    """`chunks` must be read to its end before `fields` and `filename` are complete."""

    request: Request
    max_bytes: int
    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the one file in the request."""
        content_type, options = parse_options_header(self.request.headers.get("content-type", ""))
        if content_type == b"multipart/form-data":
            boundary = options.get(b"boundary")
            if not boundary:
                raise _broken("it names no boundary")
            async for chunk in self._form(boundary):
                yield chunk
            return
        self.fields = dict(self.request.query_params)
        self.filename = self.fields.pop("name", "")
        async for chunk in self.request.stream():
            yield chunk

    def size_hint(self) -> int:
        """Return how long the file is at least, by the length of the request; 0 when it does not say. Raises
        TooLarge.
        """
        declared = self.request.headers.get("content-length", "")
        length = int(declared) if declared.isdigit() else 0
        if length > self.max_bytes + MAX_FORM_BYTES:
            raise self.too_large()
        is_form = self.request.headers.get("content-type", "").startswith("multipart/form-data")
        return max(0, length - MAX_FORM_BYTES) if is_form else length

    def too_large(self) -> TooLarge:
        return TooLarge(
            "upload.too_large",
            f"The upload is larger than {self.max_bytes / (1 << 20):.0f} MiB.",
            "Make it smaller; `limits.upload_mib` is the most that any upload may have.",
        )

    async def _form(self, boundary: bytes) -> AsyncIterator[bytes]:
        parts = _Parts(self)
        parser = MultipartParser(boundary, parts.callbacks())
        try:
            async for chunk in self.request.stream():
                parser.write(chunk)
                for piece in parts.take():
                    yield piece
            parser.finalize()
        except MultipartParseError as error:
            raise _broken(str(error)) from error
        if not parts.finished:
            raise _broken("it ends in the middle")
        if parts.files != 1:
            raise Invalid(
                "upload.one_file",
                f"The form holds {parts.files} files.",
                "Send one file, in a field named `file`.",
            )


class _Parts:
    """Callbacks of the form parser: file bytes are handed on, other fields are kept."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._field: str | None = None
        self._text = bytearray()
        self._ready: list[bytes] = []
        self.files = 0
        self.finished = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def take(self) -> list[bytes]:
        ready, self._ready = self._ready, []
        return ready

    def _begin(self) -> None:
        self._headers.clear()
        self._text.clear()
        self._field = None

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options:
            self.files += 1
            self._upload.filename = options[b"filename"].decode("utf-8", errors="replace")
        else:
            self._field = options.get(b"name", b"").decode("utf-8", errors="replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            if self.files == 1:
                self._ready.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES or len(self._upload.fields) > 20:
            raise Invalid(
                "upload.field_too_long", f"The form field {self._field!r} is too long.", "Shorten it."
            )

    def _end(self) -> None:
        if self._field:
            self._upload.fields[self._field] = self._text.decode("utf-8", errors="replace")

    def _finish(self) -> None:
        self.finished = True


def labels_of(fields: Mapping[str, str], filename: str) -> AssetLabels:
    """Return what the fields of a form or of a query say of a file. Raises Invalid `asset.bad_labels`."""
    labels: dict[str, object] = {key: value for key, value in fields.items() if value != ""}
    labels.setdefault("name", filename)
    try:
        if "metadata" in labels:
            labels["metadata"] = json.loads(str(labels["metadata"]))
    except (ValueError, RecursionError) as error:
        # Also a number of thousands of digits, and lists that are nested without end.
        raise Invalid("asset.bad_labels", "`metadata` is not JSON.", "Send a JSON object.") from error
    return read_body(AssetLabels, labels, bad_labels)


def bad_labels(where: str, why: str) -> Invalid:
    return Invalid("asset.bad_labels", f"The field {where!r} cannot be used: {why}.", "Correct it.")


def _broken(why: str) -> Invalid:
    return Invalid(
        "upload.broken_form", f"The form cannot be read: {why}.", "Send multipart/form-data or the raw bytes."
    )
