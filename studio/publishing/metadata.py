"""The video resource that YouTube gets, out of what was asked for; shown in plans, sent by the publisher."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from studio.publishing.schemas import PublishRequest


def video_resource(wishes: PublishRequest) -> dict[str, Any]:
    """developers.google.com/youtube/v3/docs/videos#resource"""
    snippet: dict[str, Any] = {
        "title": wishes.title,
        "description": wishes.description,
        "categoryId": wishes.category,
    }
    if wishes.tags:
        snippet["tags"] = wishes.tags
    if wishes.language:
        snippet["defaultLanguage"] = snippet["defaultAudioLanguage"] = wishes.language
    status: dict[str, Any] = {
        "privacyStatus": wishes.privacy,
        "selfDeclaredMadeForKids": wishes.made_for_kids,
        "containsSyntheticMedia": wishes.synthetic,
    }
    if wishes.publish_at is not None:
        status["publishAt"] = wishes.publish_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"snippet": snippet, "status": status}


def watch_url(video_id: str) -> str:
    return f"https://www.youtube.com/watch?v={video_id}"
