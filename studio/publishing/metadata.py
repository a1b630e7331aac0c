"""The video resource that YouTube gets, out of what was asked for; shown in plans, sent by the publisher."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from studio.publishing.schemas import PublishRequest


def video_resource(request: PublishRequest) -> dict[str, Any]:
    """developers.google.com/youtube/v3/docs/videos#resource"""
    snippet: dict[str, Any] = {
        "title": request.title,
        "description": request.description,
        "categoryId": request.category,
    }
    if request.tags:
        snippet["tags"] = request.tags
    if request.language:
        snippet["defaultLanguage"] = snippet["defaultAudioLanguage"] = request.language
    status: dict[str, Any] = {
        "privacyStatus": request.privacy,
        "selfDeclaredMadeForKids": request.made_for_kids,
        "containsSyntheticMedia": request.synthetic,
    }
    if request.publish_at is not None:
        status["publishAt"] = request.publish_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"snippet": snippet, "status": status}


def watch_url(video_id: str) -> str:
    return f"https://www.youtube.com/watch?v={video_id}"
