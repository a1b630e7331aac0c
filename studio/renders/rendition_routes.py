"""REST of what is made of renders to look at them: thumbnail and storyboard."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse, Response

from studio.downloads import ConditionalDep, content_answer
from studio.guards import ReadRenders
from studio.renders.schemas import OutputView
from studio.renders.service import output_of
from studio.renditions.answer import (
    StoryboardIndex,
    WidthQuery,
    sheet_address,
    storyboard_index,
    thumbnail_answer,
    track_answer,
)
from studio.renditions.service import Files, RenditionKind
from studio.thumbnails.service import ThumbnailWidth
from studio.wiring import Studio, StudioDep

router = APIRouter(prefix="/api/renders", tags=["renders"])


@router.get("/{render_id}/thumbnail", response_class=FileResponse)
async def show_thumbnail(
    render_id: str,
    studio: StudioDep,
    _: ReadRenders,
    condition: ConditionalDep,
    width: WidthQuery = ThumbnailWidth.SMALL,
) -> Response:
    """The poster, or a frame of a video that has none, as a small WebP; before, the latest frame drawn."""
    view = await studio.renders.get(render_id)
    owner = f"render:{view.id}"
    if (poster := view.output("poster")) is not None:
        named = drawn = poster.sha256
    elif (video := view.output("video")) is not None:
        files = await studio.renditions.open(owner, video.sha256, RenditionKind.POSTER)
        named, drawn = video.sha256, files["frame"][0]
    else:
        # As small as a thumbnail already, and replaced within seconds.
        preview, picture = await studio.renders.read_preview(view.id)
        answer = content_answer(picture, media_type="image/jpeg", sha256=preview.sha256)
        return condition.answer(answer, preview.sha256)
    thumbnail = await studio.thumbnails.open(owner, drawn, width)
    return thumbnail_answer(condition, thumbnail, named)


@router.get("/{render_id}/storyboard", response_class=FileResponse)
async def show_storyboard(
    render_id: str, studio: StudioDep, _: ReadRenders, condition: ConditionalDep
) -> Response:
    """Up to 100 small pictures of the video on one WebP sheet; made at the first request."""
    _sheet, video, files = await _storyboard(studio, render_id)
    return condition.file(files["storyboard"], "storyboard.webp", "image/webp", video.sha256)


@router.get("/{render_id}/storyboard.json")
async def read_storyboard_index(render_id: str, studio: StudioDep, _: ReadRenders) -> StoryboardIndex:
    """Returns the place on the sheet of each moment."""
    sheet, _video, files = await _storyboard(studio, render_id)
    return await storyboard_index(files, sheet)


@router.get("/{render_id}/storyboard.vtt", response_class=PlainTextResponse)
async def read_storyboard_track(
    render_id: str, studio: StudioDep, _: ReadRenders, condition: ConditionalDep
) -> Response:
    """The same as WebVTT with `#xywh=`, as players take it."""
    sheet, video, files = await _storyboard(studio, render_id)
    return await track_answer(condition, files, sheet, video.sha256)


async def _storyboard(studio: Studio, render_id: str) -> tuple[str, OutputView, Files]:
    """The sheet's address, the video, and the files."""
    view = await studio.renders.get(render_id)
    video = output_of(view, "video")
    files = await studio.renditions.open(f"render:{view.id}", video.sha256, RenditionKind.STORYBOARD)
    return sheet_address(f"renders/{view.id}", video.sha256), video, files
