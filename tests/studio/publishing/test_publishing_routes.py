"""The REST doors of publishing, and what they refuse before a byte travels."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from youtube_server import YouTubeServer

from soundstage.errors import Unavailable
from soundstage.settings import Settings, YoutubeSettings, check_settings
from studio.outgoing import build_outgoing
from studio.publishing.schemas import PublishRequest


async def test_the_old_path_publishes_and_its_events_can_be_followed(
    client: httpx.AsyncClient, start: Any, account: str, render: str, youtube: YouTubeServer
) -> None:
    answer = await client.post("/youtube/upload", json={"render": render, "title": "A title"})
    assert answer.status_code == 202, answer.text
    publication = answer.json()
    assert (publication["state"], publication["wishes"]["privacy"]) == ("queued", "private")
    async with start():
        events = await client.get(f"/api/publications/{publication['id']}/events", timeout=15)
    kinds = [line[7:] for line in events.text.splitlines() if line.startswith("event: ")]
    assert kinds[0] == "publication.created" and "publication.progress" in kinds
    found = (await client.get("/api/publications", params={"render": render})).json()
    assert [one["url"] for one in found] == ["https://www.youtube.com/watch?v=vid-1"]
    assert youtube.videos["vid-1"].about["snippet"]["title"] == "A title"


async def test_the_plan_shows_what_would_be_sent_and_sends_nothing(
    client: httpx.AsyncClient, account: str, render: str, youtube: YouTubeServer
) -> None:
    answer = await client.post(f"/api/renders/{render}/publish/plan", json={"captions": False})
    plan = answer.json()
    assert (plan["channel"], plan["channel_id"], plan["account_id"]) == ("Nova's channel", "UC-1", account)
    assert plan["video"]["status"]["containsSyntheticMedia"] is True
    assert (plan["captions"], plan["thumbnail"], plan["quota_units"]) == (False, True, 1650)
    assert youtube.asked == [] and (await client.get("/api/publications")).json() == []


async def test_the_same_request_sent_again_with_its_key_publishes_once(
    client: httpx.AsyncClient, account: str, render: str
) -> None:
    async def send() -> str:
        answer = await client.post(
            f"/api/renders/{render}/publish", json={}, headers={"Idempotency-Key": '"k-1"'}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    assert len(set(await asyncio.gather(*(send() for _ in range(10))))) == 1


@pytest.mark.parametrize(
    ("request_body", "word"),
    [
        ({"title": "x" * 101}, "100"),
        ({"title": "a <b>"}, "< and >"),
        ({"description": "ü" * 2501}, "5002"),
        ({"description": "1 > 0"}, "< and >"),
        ({"tags": ["x" * 90] * 6}, "500"),
        ({"privacy": "secret"}, "private"),
        ({"privacy": "public", "publish_at": "2999-01-01T00:00:00Z"}, "privacy"),
        ({"publish_at": "2999-01-01T00:00:00"}, "timezone"),
        ({"publish_at": "2001-01-01T00:00:00Z"}, "past"),
        ({"synthetic": False}, "synthetic_reason"),
        ({"category": "music"}, "category"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
async def test_what_youtube_would_not_take_is_refused_here(
    client: httpx.AsyncClient, account: str, render: str, request_body: dict[str, Any], word: str
) -> None:
    answer = await client.post("/youtube/upload", json={"render": render, **request_body})
    assert answer.status_code == 422 and word in answer.text


async def test_the_longest_allowed_texts_pass(client: httpx.AsyncClient, account: str, render: str) -> None:
    request_body = {"title": "ü" * 100, "description": "ü" * 2500, "tags": ["x" * 99] * 5}
    answer = await client.post("/youtube/upload", json={"render": render, **request_body})
    assert answer.status_code == 202, answer.text


async def test_only_a_finished_video_and_a_known_channel_will_do(
    client: httpx.AsyncClient, studio_rooms: Any, ask: Any, render: str
) -> None:
    nobody = await client.post("/youtube/upload", json={"render": render})
    assert (nobody.status_code, nobody.json()["code"]) == (409, "publishing.no_account")
    waiting = await studio_rooms.renders.create(ask("not yet"))
    early = await client.post("/youtube/upload", json={"render": waiting.id})
    assert (early.status_code, early.json()["code"]) == (409, "publication.no_video")
    missing = await client.post("/youtube/upload", json={"render": "rnd_none", "account": "acc_none"})
    assert missing.status_code == 404


def test_tokens_are_never_sent_where_others_can_read_them() -> None:
    problems = check_settings(None, {"SOUNDSTAGE_YOUTUBE__TOKEN_URL": "http://tokens.example/"})
    assert [problem.path for problem in problems] == ["youtube.token_url"]
    assert "https://" in problems[0].expected
    assert [p.path for p in check_settings(None, {"SOUNDSTAGE_YOUTUBE__CHUNK_KIB": "300"})]


async def test_before_it_is_set_up_nothing_is_published(
    settings: Settings, db: Any, events: Any, blobs: Any, account: str, render: str
) -> None:
    outgoing = build_outgoing(settings.model_copy(update={"youtube": YoutubeSettings()}), db, events, blobs)
    for refused in (
        outgoing.publishing.publish(render, PublishRequest(), requested_by="a test"),
        outgoing.accounts.connect("http://127.0.0.1/youtube/callback", requested_by="a test"),
    ):
        with pytest.raises(Unavailable) as error:
            await refused
        assert error.value.code == "publishing.not_set_up" and "client_id" in error.value.hint
