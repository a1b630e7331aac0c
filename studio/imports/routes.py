"""REST of imports: show the outline of a document, or make scenes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, Request, status

from policy import Principal
from soundstage.errors import Invalid
from studio.assets.service import plain_name
from studio.assets.upload import Upload
from studio.bodies import body_schema, form_body, read_body
from studio.guards import CreateProjects
from studio.imports.schemas import ImportOptions, ImportOutline, ImportRequest, ImportResult
from studio.imports.service import SourceFile
from studio.wiring import Studio, StudioDep

router = APIRouter(prefix="/api/imports", tags=["imports"])

_BODY = form_body(
    "Markdown, plain text, PPTX, DOCX or HTML, at most 100 MiB",
    {name: one.description or "" for name, one in ImportOptions.model_fields.items() if name != "canvas"},
    others={"application/json": body_schema(ImportRequest)},
)


@router.post("/plan", openapi_extra=_BODY)
async def plan_import(request: Request, studio: StudioDep, principal: CreateProjects) -> ImportOutline:
    """The scenes that a document would become; nothing is made. A file comes in a form, a `url` or a `text`
    in JSON.
    """
    async with _source(request, studio, principal) as (source, options):
        return await studio.imports.plan(source, options)


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BODY)
async def import_document(request: Request, studio: StudioDep, principal: CreateProjects) -> ImportResult:
    """A new project, or more scenes of one, with the pictures of the document as assets: all or nothing.
    Speaker notes are the script of a slide; its points and pictures are seen beside the speaker.
    """
    async with _source(request, studio, principal) as (source, options):
        return await studio.imports.create(source, options, principal)


@asynccontextmanager
async def _source(
    request: Request, studio: Studio, principal: Principal
) -> AsyncIterator[tuple[SourceFile, ImportOptions]]:
    for needed in ("scene:create", "asset:create"):
        principal.require(needed)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "multipart/form-data"):
        raise Invalid(
            "import.bad_form",
            "A document comes in a form, a URL or a text in JSON.",
            "Send multipart/form-data with a `file`, or JSON with `url` or `text`.",
            415,
        )
    async with studio.imports.staging() as folder:
        if kind == "application/json":
            order = read_body(ImportRequest, await request.body(), _bad_options)
            yield await studio.imports.source_of(order, folder), order
            return
        upload = Upload(request, studio.imports.max_bytes)
        upload.size_hint()
        path = folder / "document"
        await _save(upload, path)
        fields = {name: value for name, value in upload.fields.items() if value != ""}
        yield SourceFile(path, plain_name(upload.filename)), read_body(ImportOptions, fields, _bad_options)


async def _save(upload: Upload, path: Path) -> None:
    """Raises TooLarge `upload.too_large`."""
    with path.open("wb") as file:
        async for chunk in upload.chunks():
            if file.tell() + len(chunk) > upload.max_bytes:
                raise upload.too_large()
            await asyncio.to_thread(file.write, chunk)


def _bad_options(where: str, why: str) -> Invalid:
    return Invalid("import.bad_options", f"The field {where!r} cannot be used: {why}.", "Correct it.")
