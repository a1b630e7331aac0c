"""Limits of voice sessions: how many, by whom, and how many of them with a video."""

from __future__ import annotations

from collections.abc import Mapping

from agent.voice.session import Session
from policy import Principal
from soundstage.errors import Conflict, Unavailable
from soundstage.settings.conversation import VoiceSettings

MAX_SESSIONS = 200
MAX_PER_PRINCIPAL = 10


def check_limits(
    sessions: Mapping[str, Session],
    principal: Principal,
    session_id: str | None,
    settings: VoiceSettings,
    *,
    video: bool,
) -> None:
    """Raises `voice.too_many`, `voice.too_many_videos` and `voice.is_broadcast` where a person may not open a
    session, or come back to this one, beside those that are open.
    """
    known = sessions.get(session_id or "")
    own = [one for one in sessions.values() if one.is_of(principal)]
    if known is None and (len(sessions) >= MAX_SESSIONS or len(own) >= MAX_PER_PRINCIPAL):
        raise Unavailable(
            "voice.too_many",
            "Too many voice sessions are open.",
            "End one of them.",
            headers={"Retry-After": "10"},
        )
    if known is not None and known.broadcast is not None and known.is_of(principal):
        raise Conflict(
            "voice.is_broadcast", "This conversation is a broadcast.", "Open a session of its own."
        )
    videos = [one for one in sessions.values() if one.face is not None and one is not known]
    if video and len(videos) >= settings.max_videos:
        raise Unavailable(
            "voice.too_many_videos",
            f"{len(videos)} presenters are shown as videos, which is the limit.",
            "Ask without `video`, end one, or raise `voice.max_videos`.",
            headers={"Retry-After": "10"},
        )
