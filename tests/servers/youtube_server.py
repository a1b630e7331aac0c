"""A YouTube on loopback: OAuth with PKCE, the resumable protocol, captions, thumbnails, and faults on order.

`faults["piece"] = [Cut(after=100)]` spoils the next request of that kind; one fault per request, in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from loopback_http import CUT, Reply, Request

# Google keeps whole multiples of this of a piece that was cut off.
GRAIN = 256 * 1024


@dataclass
class Cut:
    """Breaks the connection after so many bytes of the body; what is whole is kept."""

    after: int = 0


@dataclass
class Lost:
    """Does all that was asked, and breaks the connection before the answer."""


@dataclass
class Says:
    status: int
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Forgets:
    """The session is not known any more."""


@dataclass
class KeepsNothing:
    """308 without Range: not one byte of the piece was kept, nor of those before."""


@dataclass
class Stalls:
    """Takes the request and never answers."""


@dataclass
class Nothing:
    """All goes well; for the requests before the one to spoil."""


Fault = Nothing | Cut | Lost | Says | Forgets | KeepsNothing | Stalls


@dataclass
class Session:
    about: dict[str, Any]
    total: int
    query: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    video: str | None = None


class YouTubeServer:
    def __init__(self) -> None:
        self.url = ""
        self.client = ("client-1", "client-secret-1")
        self.access = {"access-1"}
        self.refresh = {"refresh-1"}
        self.codes: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.asked: list[str] = []
        self.sessions: dict[str, Session] = {}
        self.videos: dict[str, Session] = {}
        self.captions: list[tuple[dict[str, Any], bytes]] = []
        self.thumbnails: list[tuple[str, bytes, str]] = []
        self.revoked: list[str] = []
        self.upload_status = "processed"
        self.privacy: str | None = None
        self.stalled = asyncio.Event()
        self.location: str | None = None

    def expire_tokens(self) -> None:
        self.access.clear()

    async def __call__(self, request: Request) -> Reply | None:
        step = _step_of(request)
        self.asked.append(step)
        fault = self.faults[step].pop(0) if self.faults[step] else None
        if isinstance(fault, Stalls):
            self.stalled.set()
            await asyncio.sleep(3600)
        if isinstance(fault, Says):
            await request.body()
            error = {"message": f"said {fault.status}", "errors": [{"reason": fault.reason}]}
            return Reply.json({"error": error}, fault.status, **fault.headers)
        if isinstance(fault, Cut) and step != "piece":
            return CUT
        reply = await self._answer(step, request, fault)
        return CUT if isinstance(fault, Lost) else reply

    async def _answer(self, step: str, request: Request, fault: Fault | None) -> Reply | None:
        if step in ("token", "revoke"):
            form = dict(parse_qsl((await request.body()).decode()))
            return self._token(form) if step == "token" else self._revoke(form)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            await request.body()
            return Reply.json({"error": {"message": "bad token", "errors": [{"reason": "authError"}]}}, 401)
        if step in ("piece", "ask", "drop"):
            return await self._session(step, request, fault)
        body = await request.body()
        match step:
            case "start":
                return self._start(request, body)
            case "status":
                return self._status(request)
            case "channel":
                return Reply.json({"items": [{"id": "UC-1", "snippet": {"title": "Nova's channel"}}]})
            case "captions":
                about, track = _parts(request, body)
                self.captions.append((about, track))
                return Reply.json({"id": "cap-1"})
            case _:
                self.thumbnails.append((request.query["videoId"], body, request.headers["content-type"]))
                return Reply.json({})

    def _token(self, form: dict[str, str]) -> Reply:
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return Reply.json({"error": "invalid_client"}, 401)
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
            if self.codes.pop(form["code"], None) != challenge:
                return Reply.json({"error": "invalid_grant"}, 400)
            return self._give({"refresh_token": "refresh-1"})
        if form["refresh_token"] not in self.refresh:
            return Reply.json({"error": "invalid_grant"}, 400)
        return self._give({})

    def _give(self, more: dict[str, str]) -> Reply:
        access = f"access-{len(self.asked)}-fresh"
        self.access.add(access)
        return Reply.json({"access_token": access, "expires_in": 3600, "token_type": "Bearer", **more})

    def _revoke(self, form: dict[str, str]) -> Reply:
        self.revoked.append(form["token"])
        return Reply.json({})

    def _start(self, request: Request, body: bytes) -> Reply:
        assert request.query["uploadType"] == "resumable" and request.query["part"] == "snippet,status"
        assert request.headers["x-upload-content-type"] == "video/mp4"
        key = f"key-{len(self.sessions) + 1}"
        self.sessions[key] = Session(
            json.loads(body), int(request.headers["x-upload-content-length"]), request.query
        )
        return Reply(200, b"", {"location": self.location or f"{self.url}/session/{key}"})

    async def _session(self, step: str, request: Request, fault: Fault | None) -> Reply | None:
        key = request.path.rpartition("/")[2]
        session = self.sessions.get(key)
        if isinstance(fault, Forgets):
            self.sessions.pop(key, None)
            session = None
        if session is None:
            await request.body()
            return Reply.json({"error": {"message": "no such session"}}, 404)
        if step == "drop":
            del self.sessions[key]
            return Reply(499)
        if step == "piece":
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["content-range"])
            assert match is not None
            start, end, total = map(int, match.groups())
            assert total == session.total and end - start + 1 == request.length
            assert request.length % GRAIN == 0 or end + 1 == total
            assert start == len(session.data), "a piece that does not join on"
            if isinstance(fault, Cut):
                arrived = await request.body(fault.after)
                session.data += arrived[: len(arrived) // GRAIN * GRAIN]
                return CUT
            if isinstance(fault, KeepsNothing):
                await request.body()
                session.data.clear()
                return Reply(308)
            session.data += await request.body()
        else:
            assert request.headers["content-range"] == f"bytes */{session.total}" and request.length == 0
        if len(session.data) < session.total:
            seen = {"range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
            return Reply(308, b"", seen)
        if session.video is None:
            session.video = f"vid-{len(self.videos) + 1}"
            self.videos[session.video] = session
        return Reply.json({"id": session.video, "status": {"uploadStatus": "uploaded"}})

    def _status(self, request: Request) -> Reply:
        session = self.videos.get(request.query["id"])
        if session is None:
            return Reply.json({"items": []})
        status = {
            "uploadStatus": self.upload_status,
            "privacyStatus": self.privacy or session.about["status"]["privacyStatus"],
        }
        return Reply.json({"items": [{"id": request.query["id"], "status": status}]})


def _step_of(request: Request) -> str:
    if request.path.startswith("/session/"):
        if request.method == "DELETE":
            return "drop"
        return "ask" if request.headers["content-range"].startswith("bytes */") else "piece"
    return {
        "/token": "token",
        "/revoke": "revoke",
        "/upload/youtube/v3/videos": "start",
        "/upload/youtube/v3/captions": "captions",
        "/upload/youtube/v3/thumbnails/set": "thumbnail",
        "/youtube/v3/videos": "status",
        "/youtube/v3/channels": "channel",
    }[request.path]


def _parts(request: Request, body: bytes) -> tuple[dict[str, Any], bytes]:
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    _, about, track, end = body.split(b"--" + boundary)
    assert end.strip() == b"--"
    return json.loads(about.partition(b"\r\n\r\n")[2]), track.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
