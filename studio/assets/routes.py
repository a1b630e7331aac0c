"""REST of assets: upload, list, describe, download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, status
from fastapi.responses import FileResponse

from soundstage.paging import PAGED, PagingDep, SearchText
from studio.assets.repository import AssetFilter, AssetSort
from studio.assets.schemas import (
    AssetChange,
    AssetDraft,
    AssetKind,
    AssetUses,
    AssetView,
    TagCount,
)
from studio.assets.upload import Upload, bad_labels, labels_of
from studio.bodies import body_schema, form_body, read_body
from studio.downloads import file_answer
from studio.guards import CreateAssets, DeleteAssets, ReadAssets, UpdateAssets
from studio.tags import TagQuery
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/assets", tags=["assets"])

_UPLOAD_BODY = form_body(
    "",
    {
        "kind": {"type": "string", "enum": [kind.value for kind in AssetKind]},
        "name": "",
        "project": "",
        "tags": "with commas between",
        "metadata": "a JSON object",
    },
    others={
        "application/octet-stream": {"type": "string", "format": "binary"},
        "application/json": body_schema(AssetDraft),
    },
)


@router.get("", responses=PAGED)
async def list_assets(
    studio: StudioDep,
    _: ReadAssets,
    paging: PagingDep,
    q: SearchText = None,
    sort: AssetSort = "-created",
    kind: Annotated[list[AssetKind] | None, Query(max_length=20)] = None,
    project: Annotated[str | None, Query(max_length=80, description="id or slug")] = None,
    tag: TagQuery = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> list[AssetView]:
    """Newest first. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    criteria = AssetFilter(sort, q, kind or (), project, tag or ())
    return paging.answer(await studio.assets.find_page(criteria, paging.ask(limit)))


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_UPLOAD_BODY)
async def create_asset(request: Request, studio: StudioDep, principal: CreateAssets) -> AssetView:
    """A file as form or raw body (then `?name=…&kind=…`), or JSON that names a blob which is here already."""
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        draft = read_body(AssetDraft, await request.body(), bad_labels)
        return await studio.assets.create(draft, principal)
    upload = Upload(request, studio.assets.max_upload_bytes)
    blob, found = await studio.assets.store(upload.chunks(), expected_bytes=upload.size_hint())
    return await studio.assets.add(blob, found, labels_of(upload.fields, upload.filename))


@router.get("/tags")
async def list_tags(studio: StudioDep, _: ReadAssets) -> Sequence[TagCount]:
    """Tags that assets have, by name."""
    return await studio.assets.tags()


@router.get("/{asset_id}")
async def get_asset(asset_id: str, studio: StudioDep, _: ReadAssets) -> AssetView:
    return await studio.assets.get(asset_id)


@router.get("/{asset_id}/used-in")
async def list_uses(asset_id: str, studio: StudioDep, principal: ReadAssets) -> AssetUses:
    """Projects, renders, personas and brands that use its bytes, of those that the caller may read."""
    return await studio.assets.uses(asset_id, principal)


@router.patch("/{asset_id}")
async def change_asset(asset_id: str, change: AssetChange, studio: StudioDep, _: UpdateAssets) -> AssetView:
    """Labels only; the bytes of an asset never change."""
    return await studio.assets.change(asset_id, change)


@router.delete("/{asset_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_asset(asset_id: str, studio: StudioDep, _: DeleteAssets) -> None:
    await studio.assets.delete(asset_id)


@router.get("/{asset_id}/file")
async def download_asset(
    asset_id: str, studio: StudioDep, _: ReadAssets, download: bool = False
) -> FileResponse:
    view, path = await studio.assets.open_file(asset_id)
    return file_answer(
        path, name=view.name, media_type=view.media_type, sha256=view.sha256, download=download
    )
