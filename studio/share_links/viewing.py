"""Serves what a link opens, without a login: one page with the video, its captions and its poster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from policy import public
from soundstage.errors import NotFound, SoundstageError, TooManyRequests
from soundstage.telemetry import SHARED_PREFIX
from studio.downloads import file_answer
from studio.share_links.page import Language, content_policy, refusal_page, video_page
from studio.wiring import Studio, StudioDep

PARTS = MappingProxyType({"video": "video", "captions": "vtt", "poster": "poster"})
"""Role of each file that the page shows, by the last part of its address."""
PRIVACY = MappingProxyType({"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"})

router = APIRouter(
    include_in_schema=False,
    dependencies=[Depends(public("the token in the path opens one video, and nothing else"))],
)


@router.get(SHARED_PREFIX + "{token}")
async def show_shared_video(token: str, request: Request, studio: StudioDep) -> Response:
    """The page; 404 for a link that has ended, and for one that never was."""
    try:
        async with _limited(request, studio, token):
            video = await studio.share_links.open(token)
    except SoundstageError as error:
        return _refusal(request, error)
    parts = [part for part, role in PARTS.items() if role in video.files]
    shown = video_page(
        video.title,
        SHARED_PREFIX + token,
        parts,
        _language(request),
        shows_captions=video.shows_captions,
        transcript=video.transcript,
    )
    return _page(shown)


@router.get(SHARED_PREFIX + "{token}/{part}")
async def show_shared_file(token: str, part: str, request: Request, studio: StudioDep) -> Response:
    """`part`: video, captions or poster. Ranges are served."""
    try:
        async with _limited(request, studio, token):
            output, path = await studio.share_links.open_file(token, PARTS.get(part, ""))
    except SoundstageError as error:
        return _refusal(request, error)
    answer = file_answer(path, name=output.name, media_type=output.media_type, sha256=output.sha256)
    answer.headers.update(PRIVACY)
    return answer


@asynccontextmanager
async def _limited(request: Request, studio: Studio, token: str) -> AsyncIterator[None]:
    """Counts a wrong token like a wrong key. Raises 429 after too many of them, unless this one was right
    before: no flood of others interrupts whoever is watching.
    """
    attempts = request.app.state.policy.attempts
    is_new = not studio.share_links.was_right(token)
    if is_new:
        await attempts.begin(request)
    yield
    if is_new:
        attempts.succeed(request)


def _refusal(request: Request, error: SoundstageError) -> Response:
    """One page for all that has ended or never was; another for who asks too often."""
    if not isinstance(error, NotFound) and error.status != TooManyRequests.default_status:
        raise error
    is_limited = not isinstance(error, NotFound)
    answer = _page(refusal_page(_language(request), is_limited=is_limited), error.status)
    answer.headers.update(error.headers)
    return answer


def _page(text: str, status: int = 200) -> Response:
    headers = {
        **PRIVACY,
        "Content-Security-Policy": content_policy(),
        "X-Content-Type-Options": "nosniff",
        # What was revoked does not come back by the browser's button.
        "Cache-Control": "private, no-store",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(text, status, headers)


def _language(request: Request) -> Language:
    """The reader's first language where we have it."""
    first = request.headers.get("accept-language", "").partition(",")[0].strip().lower()
    return "de" if first.partition("-")[0] == "de" else "en"
