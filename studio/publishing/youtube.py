"""The calls of the YouTube Data API that publishing needs, over HTTP; used by the publisher and accounts.

Uploads: developers.google.com/youtube/v3/guides/using_resumable_upload_protocol
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from soundstage.http import Bounds, Destinations, OwnListeners, outgoing_client
from soundstage.settings import YoutubeSettings
from soundstage.settings.outgoing import is_loopback_host
from studio.publishing.answers import json_of, publish_error_of
from studio.publishing.errors import Refused, TransientError

_RANGE = re.compile(r"bytes=0-(\d+)")
BOUNDARY = "soundstage-part"
ANSWER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """Number of bytes that have arrived; `video` is the resource when all of them have."""

    offset: int
    video: dict[str, Any] | None = None


@asynccontextmanager
async def http_client(settings: YoutubeSettings, listeners: OwnListeners) -> AsyncIterator[httpx.AsyncClient]:
    """Proxies of the environment are used, except for a server on this machine."""
    destinations = Destinations(listeners, named_by_operator=True)
    elsewhere = not is_loopback_host(settings.api_url.host or "")
    # A chunk of an upload takes as long as the line does.
    bounds = Bounds(settings.timeout_s, ANSWER_BYTES, connect_s=settings.timeout_s)
    async with outgoing_client(destinations, bounds, use_proxies=elsewhere) as client:
        yield client


class YouTube:
    """One channel's view of YouTube: `token` says whose."""

    def __init__(self, http: httpx.AsyncClient, api_url: str, token: str) -> None:
        self._http = http
        self._api = api_url.rstrip("/")
        self._token = token

    async def start_session(self, video: dict[str, Any], size: int, *, notify: bool) -> str:
        """The address to send the bytes to. Costs the units of an upload."""
        answer = await self._call(
            "POST",
            f"{self._api}/upload/youtube/v3/videos",
            params={
                "uploadType": "resumable",
                "part": "snippet,status",
                "notifySubscribers": str(notify).lower(),
            },
            headers={"X-Upload-Content-Length": str(size), "X-Upload-Content-Type": "video/mp4"},
            json=video,
        )
        if answer.status_code != 200:
            raise publish_error_of(answer)
        location = answer.headers.get("location", "")
        if not _is_ours(location, self._api):
            raise TransientError("YouTube gave no address to upload to")
        return str(location)

    async def ask_session(self, session_url: str, total: int) -> Received:
        """Returns how much has arrived: an empty chunk with `Content-Range: bytes */N`."""
        return await self._put(session_url, b"", f"bytes */{total}", total)

    async def send_chunk(self, session_url: str, chunk: bytes, offset: int, total: int) -> Received:
        """Returns what has arrived afterwards, which may be less than was sent."""
        return await self._put(session_url, chunk, f"bytes {offset}-{offset + len(chunk) - 1}/{total}", total)

    async def drop_session(self, session_url: str) -> None:
        """So that a half upload does not lie about for a week. 499 is how Google says that it is gone."""
        await self._call("DELETE", session_url, content=b"")

    async def video(self, video_id: str) -> dict[str, Any] | None:
        """Its status; None when YouTube does not know it."""
        answer = await self._call(
            "GET",
            f"{self._api}/youtube/v3/videos",
            params={"part": "status,processingDetails", "id": video_id},
        )
        if answer.status_code != 200:
            raise publish_error_of(answer)
        items = json_of(answer).get("items") or []
        return dict(items[0]) if items else None

    async def set_thumbnail(self, video_id: str, picture: bytes, media_type: str) -> None:
        await self._simple(
            f"{self._api}/upload/youtube/v3/thumbnails/set",
            {"videoId": video_id, "uploadType": "media"},
            picture,
            media_type,
        )

    async def add_captions(self, video_id: str, language: str, captions: bytes) -> None:
        """One track (WebVTT), in one request of two parts (RFC 2387)."""
        about = {"snippet": {"videoId": video_id, "language": language, "name": "", "isDraft": False}}
        body = b"".join(
            (
                f"--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.dumps(about).encode(),
                f"\r\n--{BOUNDARY}\r\nContent-Type: text/vtt\r\n\r\n".encode(),
                captions,
                f"\r\n--{BOUNDARY}--\r\n".encode(),
            )
        )
        await self._simple(
            f"{self._api}/upload/youtube/v3/captions",
            {"part": "snippet", "uploadType": "multipart"},
            body,
            f"multipart/related; boundary={BOUNDARY}",
        )

    async def own_channel(self) -> tuple[str, str]:
        """Id and title of the channel behind the token."""
        answer = await self._call(
            "GET", f"{self._api}/youtube/v3/channels", params={"part": "snippet", "mine": "true"}
        )
        if answer.status_code != 200:
            raise publish_error_of(answer)
        items = json_of(answer).get("items") or []
        if not items:
            raise Refused(
                "publishing.no_channel",
                "This Google account has no YouTube channel.",
                "Make a channel on YouTube, or choose another account.",
            )
        return str(items[0]["id"]), str(items[0].get("snippet", {}).get("title", ""))

    async def _simple(self, url: str, params: dict[str, str], body: bytes, media_type: str) -> None:
        answer = await self._call(
            "POST", url, params=params, headers={"Content-Type": media_type}, content=body
        )
        if answer.status_code not in (200, 201, 204):
            raise publish_error_of(answer)

    async def _put(self, session_url: str, chunk: bytes, content_range: str, total: int) -> Received:
        answer = await self._call(
            "PUT",
            session_url,
            headers={"Content-Range": content_range, "Content-Type": "video/mp4"},
            content=chunk,
        )
        if answer.status_code in (200, 201):
            video = json_of(answer)
            if not video.get("id"):
                raise TransientError("YouTube took the video and did not say under which id")
            return Received(total, video)
        if answer.status_code == 308:
            return Received(_arrived(answer, total))
        raise publish_error_of(answer)

    async def _call(self, method: str, url: str, **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {}), "Authorization": f"Bearer {self._token}"}
        try:
            return await self._http.request(method, url, headers=headers, **more)
        except httpx.HTTPError as error:
            # The text of some of these holds the URL, and with it the key of the upload.
            raise TransientError(f"the connection to YouTube broke ({type(error).__name__})") from error


def _arrived(answer: httpx.Response, total: int) -> int:
    """`Range: bytes=0-N` means N + 1 bytes; no Range means none."""
    header = answer.headers.get("range")
    if header is None:
        return 0
    match = _RANGE.fullmatch(header.strip())
    if match is None or int(match.group(1)) + 1 > total:
        raise TransientError("YouTube's answer cannot be read")
    return int(match.group(1)) + 1


def _is_ours(location: str, api: str) -> bool:
    """The bytes and the token go only to the API's own hosts."""
    there, here = urlsplit(location), urlsplit(api)
    same = there.netloc == here.netloc
    google = all((one.hostname or "").endswith(".googleapis.com") for one in (there, here))
    return there.scheme == here.scheme and (same or google)
