"""REST of what is made of assets to look at them: thumbnail, storyboard, peaks, proxy."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse, Response

from soundstage.errors import NotFound
from studio.assets.schemas import AssetView
from studio.downloads import ConditionalDep
from studio.guards import ReadAssets
from studio.renditions.answer import (
    StoryboardIndex,
    WidthQuery,
    sheet_address,
    storyboard_index,
    thumbnail_answer,
    track_answer,
)
from studio.renditions.service import Files, RenditionKind
from studio.thumbnails.service import ThumbnailWidth, not_a_picture
from studio.wiring import Studio, StudioDep

router = APIRouter(prefix="/api/assets", tags=["assets"])


@router.get("/{asset_id}/thumbnail", response_class=FileResponse)
async def show_thumbnail(
    asset_id: str,
    studio: StudioDep,
    _: ReadAssets,
    condition: ConditionalDep,
    width: WidthQuery = ThumbnailWidth.SMALL,
) -> Response:
    """A picture, or one telling frame of a video, as a small WebP; sounds have none."""
    view = await studio.assets.get(asset_id)
    original = view.sha256
    if _family(view) == "video":
        files = await _rendition(studio, view, RenditionKind.POSTER)
        original = files["frame"][0]
    elif _family(view) != "image":
        raise not_a_picture()
    thumbnail = await studio.thumbnails.open(f"asset:{view.id}", original, width)
    return thumbnail_answer(condition, thumbnail, view.sha256)


@router.get("/{asset_id}/storyboard", response_class=FileResponse)
async def show_storyboard(
    asset_id: str, studio: StudioDep, _: ReadAssets, condition: ConditionalDep
) -> Response:
    """Up to 100 small pictures of a video on one WebP sheet; made at the first request."""
    view, files = await _storyboard(studio, asset_id)
    return condition.file(files["storyboard"], "storyboard.webp", "image/webp", view.sha256)


@router.get("/{asset_id}/storyboard.json")
async def read_storyboard_index(asset_id: str, studio: StudioDep, _: ReadAssets) -> StoryboardIndex:
    """Returns the place on the sheet of each moment."""
    view, files = await _storyboard(studio, asset_id)
    return await storyboard_index(files, _sheet(view))


@router.get("/{asset_id}/storyboard.vtt", response_class=PlainTextResponse)
async def read_storyboard_track(
    asset_id: str, studio: StudioDep, _: ReadAssets, condition: ConditionalDep
) -> Response:
    """The same as WebVTT with `#xywh=`, as players take it."""
    view, files = await _storyboard(studio, asset_id)
    return await track_answer(condition, files, _sheet(view), view.sha256)


@router.get("/{asset_id}/peaks")
async def read_peaks(asset_id: str, studio: StudioDep, _: ReadAssets, condition: ConditionalDep) -> Response:
    """The waveform of a sound or video: JSON of audiowaveform, version 2, 8 bits, at most 10 000 pairs."""
    view = await studio.assets.get(asset_id)
    if _family(view) not in ("audio", "video"):
        raise NotFound("asset.no_sound", f"{view.name or view.id} has no sound.", "Name a sound or a video.")
    files = await _rendition(studio, view, RenditionKind.PEAKS)
    content = await asyncio.to_thread(files["peaks"][1].read_bytes)
    return condition.text(content, "application/json", view.sha256)


@router.get("/{asset_id}/proxy", response_class=FileResponse)
async def download_proxy(
    asset_id: str, studio: StudioDep, _: ReadAssets, condition: ConditionalDep
) -> Response:
    """A small copy of a video (H.264, at most 854 x 480) that plays while it loads. Made at the first
    request, which answers 503 with `Retry-After` until it is ready.
    """
    view = await _video(studio, asset_id)
    files = await _rendition(studio, view, RenditionKind.PROXY)
    return condition.file(files["proxy"], "proxy.mp4", "video/mp4", view.sha256)


async def _storyboard(studio: Studio, asset_id: str) -> tuple[AssetView, Files]:
    view = await _video(studio, asset_id)
    return view, await _rendition(studio, view, RenditionKind.STORYBOARD)


async def _video(studio: Studio, asset_id: str) -> AssetView:
    view = await studio.assets.get(asset_id)
    if _family(view) != "video":
        raise NotFound("asset.no_video", f"{view.name or view.id} is no video.", "Name a video.")
    return view


async def _rendition(studio: Studio, view: AssetView, kind: RenditionKind) -> Files:
    return await studio.renditions.open(f"asset:{view.id}", view.sha256, kind)


def _family(view: AssetView) -> str:
    return view.media_type.partition("/")[0]


def _sheet(view: AssetView) -> str:
    return sheet_address(f"assets/{view.id}", view.sha256)
