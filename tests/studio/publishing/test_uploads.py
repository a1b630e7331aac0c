"""A video reaches YouTube whole and once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from metric_values import read_state
from set_clocks import SetClock
from sqlalchemy import select
from youtube_server import Cut, Forgets, KeepsNothing, Lost, Nothing, Says, Stalls, YouTubeServer

from soundstage.database import Base, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict, SoundstageError
from soundstage.telemetry import Metrics
from studio.consents.schemas import ConsentDraft
from studio.publishing.journal import stream_of
from studio.publishing.models import Account, Publication
from studio.publishing.quota import resets_at
from studio.publishing.schemas import PublishRequest
from studio.renders.models import Render
from studio.state_metrics import read_studio_state

GRAIN = 256 * 1024
PIECES = 5


async def publish(outgoing: Any, render: str, **wishes: Any) -> str:
    view = await outgoing.publishing.publish(render, PublishRequest(**wishes), requested_by="a test")
    return str(view.id)


def the_video(youtube: YouTubeServer) -> Any:
    """The only one there is: a second upload of the same video would be a fault."""
    assert list(youtube.videos) == ["vid-1"]
    return youtube.videos["vid-1"]


async def test_a_render_becomes_a_private_video_marked_as_synthetic_with_captions_and_thumbnail(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes, events: Any, db: Any
) -> None:
    publication = await publish(outgoing, render, description="Grüße", tags=["one", "two words"])
    view = await until(outgoing, publication, "published")
    assert (view.url, view.error, view.warnings) == ("https://www.youtube.com/watch?v=vid-1", None, [])
    video = the_video(youtube)
    assert bytes(video.data) == footage
    assert video.about["snippet"] == {
        "title": "Hello there, world",
        "description": "Grüße",
        "categoryId": "22",
        "tags": ["one", "two words"],
    }
    assert video.about["status"] == {
        "privacyStatus": "private",
        "selfDeclaredMadeForKids": False,
        "containsSyntheticMedia": True,
    }
    assert video.query["notifySubscribers"] == "false"
    (about, track), (thumbnail,) = youtube.captions[0], youtube.thumbnails
    assert about["snippet"]["videoId"] == "vid-1" and track.startswith(b"WEBVTT")
    assert thumbnail[0] == "vid-1" and thumbnail[1].startswith(b"\x89PNG")
    seen = await events.read(stream_of(publication))
    states = [event.data["state"] for event in seen if event.kind == "publication.state"]
    assert states == ["uploading", "processing", "published"]
    assert seen[-1].data["url"] == view.url and {event.trace_id for event in seen} == {view.trace_id}
    shown = Metrics()
    read_studio_state(shown, db)
    assert await read_state(shown, "publications", state="published") == 1


async def test_what_was_wished_for_reaches_youtube(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    tomorrow = (utcnow() + timedelta(days=1)).replace(microsecond=0)
    publication = await publish(
        outgoing,
        render,
        publish_at=tomorrow,
        synthetic=False,
        synthetic_reason="a drawn figure that nobody takes for real",
        notify_subscribers=True,
        captions=False,
        thumbnail=False,
        language="de",
    )
    await until(outgoing, publication, "published")
    about = the_video(youtube).about
    assert about["status"]["publishAt"] == tomorrow.isoformat().replace("+00:00", "Z")
    assert about["status"]["containsSyntheticMedia"] is False
    assert about["snippet"]["defaultLanguage"] == "de"
    assert the_video(youtube).query["notifySubscribers"] == "true"
    assert (youtube.captions, youtube.thumbnails) == ([], [])


@pytest.mark.parametrize("cut", [GRAIN // 2, GRAIN, "after all"], ids=str)
@pytest.mark.parametrize("piece", range(PIECES))
async def test_a_cut_anywhere_in_any_piece_costs_nothing_that_had_arrived(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes, piece: int, cut: Any
) -> None:
    fault = Lost() if cut == "after all" else Cut(cut)
    youtube.faults["piece"] = [*(Cut(GRAIN) for _ in range(piece)), fault]
    await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage
    assert youtube.asked.count("start") == 1 and "ask" in youtube.asked


async def test_every_piece_may_be_cut_in_one_upload(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes
) -> None:
    youtube.faults["piece"] = [Cut(GRAIN - 1), Lost()] * PIECES
    await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage


@pytest.mark.parametrize("step", ["start", "piece", "ask", "status", "captions", "thumbnail"])
async def test_a_server_that_fails_for_a_while_is_asked_again(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes, step: str
) -> None:
    youtube.faults[step] = [Says(503), Says(403, "rateLimitExceeded"), Says(429), Cut()]
    if step == "ask":
        youtube.faults["piece"] = [Cut(GRAIN)]
    view = await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage
    assert (len(youtube.captions), len(youtube.thumbnails), view.warnings) == (1, 1, [])
    # What YouTube did not do was not charged.
    assert (await outgoing.quota.view()).used - 2050 <= 5


async def test_retry_after_is_honoured(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, db: Any
) -> None:
    youtube.faults["start"] = [Says(503, headers={"retry-after": "90"})]
    publication = await publish(outgoing, render)
    await until(outgoing, publication, "uploading", waits="tries again in 90 s")
    async with db.session() as session:
        row = await session.get(Publication, publication)
    assert row.next_at > utcnow() + timedelta(seconds=80)


async def test_a_publication_does_not_wait_longer_because_the_clock_was_set_back(
    start: Any,
    account: str,
    youtube: YouTubeServer,
    render: str,
    until: Any,
    db: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SetClock()
    monkeypatch.setattr("soundstage.background.ClockWatch", clock.watch)
    youtube.faults["start"] = [Says(503, headers={"retry-after": "90"})]
    async with start() as outgoing:
        publication = await publish(outgoing, render)
        await until(outgoing, publication, "uploading", waits="tries again in 90 s")
        async with db.transaction() as session:
            # Due in this moment, by the clock as it was.
            (await session.get(Publication, publication)).next_at = utcnow() + timedelta(hours=1)
        clock.back_s = 3600.0
        await until(outgoing, publication, "published")


async def test_a_server_that_never_recovers_ends_it_with_a_reason_and_a_retry_goes_on(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["piece"] = [Says(500)] * 6
    publication = await publish(outgoing, render)
    view = await until(outgoing, publication, "failed")
    assert view.error.code == "publication.gave_up" and "500" in view.error.message
    await outgoing.publishing.retry(publication)
    await until(outgoing, publication, "published")


async def test_bytes_that_the_server_has_dropped_again_are_sent_again(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes
) -> None:
    youtube.faults["piece"] = [Cut(GRAIN), KeepsNothing()]
    await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage


async def test_a_server_that_keeps_nothing_does_not_keep_us_for_ever(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["piece"] = [KeepsNothing()] * 20
    view = await until(outgoing, await publish(outgoing, render), "failed")
    assert view.error.code == "publication.gave_up"
    assert youtube.asked.count("piece") == 6


async def test_an_upload_that_youtube_forgot_begins_again(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes
) -> None:
    youtube.faults["piece"] = [Cut(GRAIN), Forgets()]
    await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage
    assert youtube.asked.count("start") == 2


async def test_a_video_that_may_be_there_is_not_sent_a_second_time(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["piece"] = [*(Cut(GRAIN) for _ in range(PIECES - 1)), Lost()]
    # Each cut is followed by a question; the fifth comes after the answer to the last piece was lost.
    youtube.faults["ask"] = [*(Nothing() for _ in range(PIECES - 1)), Forgets()]
    publication = await publish(outgoing, render)
    view = await until(outgoing, publication, "failed")
    assert view.error.code == "publication.uncertain"
    assert len(youtube.videos) == 1 and youtube.asked.count("start") == 1


async def test_an_upload_that_youtube_forgets_again_and_again_ends(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["piece"] = [Forgets()] * 3
    view = await until(outgoing, await publish(outgoing, render), "failed")
    assert view.error.code == "publication.session_lost"


@pytest.mark.parametrize("step", ["start", "piece", "ask", "status"])
async def test_an_expired_token_is_renewed_in_the_middle(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, footage: bytes, step: str
) -> None:
    youtube.faults[step] = [Says(401, "authError")]
    if step == "ask":
        youtube.faults["piece"] = [Cut(GRAIN)]
    await until(outgoing, await publish(outgoing, render), "published")
    assert bytes(the_video(youtube).data) == footage
    assert youtube.asked.count("token") == 1


async def test_a_token_that_ends_soon_is_renewed_before_it_is_used(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, db: Any, account: str
) -> None:
    async with db.transaction() as session:
        (await session.get(Account, account)).access_expires_at = utcnow() + timedelta(seconds=30)
    await until(outgoing, await publish(outgoing, render), "published")
    assert youtube.asked[0] == "token" and youtube.asked.count("token") == 1


async def test_a_channel_that_has_thrown_us_out_is_named_and_asked_no_more(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.expire_tokens()
    youtube.refresh.clear()
    view = await until(outgoing, await publish(outgoing, render), "failed")
    assert view.error.code == "publishing.revoked" and "Nova's channel" in view.error.message
    assert [account.usable for account in await outgoing.accounts.all()] == [False]
    with pytest.raises(Conflict) as error:
        await publish(outgoing, render)
    assert error.value.code == "publishing.revoked"


@pytest.mark.parametrize("step", ["start", "piece"])
async def test_when_the_quota_is_used_up_it_waits_for_the_next_day(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, db: Any, step: str
) -> None:
    youtube.faults[step] = [Says(403, "quotaExceeded")]
    publication = await publish(outgoing, render)
    view = await until(outgoing, publication, "queued", waits="quota")
    assert view.error is None
    quota = await outgoing.quota.view()
    assert quota.used == quota.limit
    async with db.session() as session:
        assert (await session.get(Publication, publication)).next_at == resets_at(utcnow())


async def test_units_are_counted_and_nothing_is_asked_of_youtube_that_would_be_too_much(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    await until(outgoing, await publish(outgoing, render), "published")
    assert (await outgoing.quota.view()).used == 1600 + 400 + 50 + 1
    await outgoing.quota.consume(7000)
    view = await until(outgoing, await publish(outgoing, render, again=True), "queued", waits="quota")
    assert view.bytes_sent == 0 and youtube.asked.count("start") == 1
    assert (await outgoing.quota.view()).used == 9051


async def test_what_youtube_will_never_take_fails_with_its_own_words(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["start"] = [Says(400, "invalidTitle")]
    view = await until(outgoing, await publish(outgoing, render), "failed")
    assert view.error.code == "publication.refused"
    assert "invalidTitle" in view.error.message and "said 400" in view.error.message


async def test_a_thumbnail_that_is_refused_is_a_warning(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["thumbnail"] = [Says(403, "forbidden")]
    view = await until(outgoing, await publish(outgoing, render), "published")
    assert len(view.warnings) == 1 and "thumbnail" in view.warnings[0]
    assert youtube.asked.count("thumbnail") == 1


async def test_a_video_that_youtube_keeps_private_is_said_to_be_so(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.privacy = "private"
    view = await until(outgoing, await publish(outgoing, render, privacy="public"), "published")
    assert "private, not public" in view.warnings[0]


async def test_processing_is_waited_for_and_a_rejected_video_fails(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.upload_status = "uploaded"
    publication = await publish(outgoing, render)
    view = await until(outgoing, publication, "processing", waits="processing")
    assert view.url is not None
    youtube.upload_status = "rejected"
    failed = await until(outgoing, publication, "failed")
    assert failed.error.code == "publication.rejected"


async def test_the_bytes_go_to_nobody_but_youtube(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.location = "http://127.0.0.1:9/elsewhere"
    view = await until(outgoing, await publish(outgoing, render), "failed")
    assert "no address" in view.error.message and "piece" not in youtube.asked


@pytest.mark.parametrize("step", ["start", "piece", "ask", "captions", "thumbnail", "status"])
async def test_a_restart_in_any_step_goes_on_where_it_was(
    start: Any,
    account: str,
    youtube: YouTubeServer,
    render: str,
    until: Any,
    footage: bytes,
    step: str,
) -> None:
    youtube.faults["piece"] = [Cut(GRAIN), Cut(GRAIN)]
    youtube.faults[step].append(Stalls())
    async with start() as before:
        publication = await publish(before, render)
        await asyncio.wait_for(youtube.stalled.wait(), 60)
    requests = len(youtube.asked)
    async with start() as after:
        await until(after, publication, "published")
    assert bytes(the_video(youtube).data) == footage
    assert (len(youtube.captions), len(youtube.thumbnails)) == (1, 1)
    again = youtube.asked[requests:]
    assert again.count("start") == (step == "start")
    if step in ("captions", "thumbnail", "status"):
        assert "piece" not in again


async def test_a_cancelled_upload_leaves_nothing_on_youtube(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.faults["piece"] = [Cut(GRAIN), Says(503, headers={"retry-after": "60"})]
    publication = await publish(outgoing, render)
    await until(outgoing, publication, "uploading", waits="tries again")
    await outgoing.publishing.cancel(publication)
    await until(outgoing, publication, "cancelled")
    assert youtube.videos == {} and youtube.sessions == {}
    with pytest.raises(Conflict, match="only a failed or cancelled"):
        await outgoing.publishing.retry((await outgoing.publishing.retry(publication)).id)


async def test_what_youtube_has_whole_cannot_be_cancelled(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    youtube.upload_status = "uploaded"
    publication = await publish(outgoing, render)
    await until(outgoing, publication, "processing")
    with pytest.raises(Conflict) as error:
        await outgoing.publishing.cancel(publication)
    assert error.value.code == "publication.already_there"


async def test_one_render_goes_to_a_channel_once_unless_asked_again(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any
) -> None:
    first = await publish(outgoing, render)
    with pytest.raises(Conflict) as error:
        await publish(outgoing, render)
    assert error.value.code == "publication.exists" and first in error.value.message
    second = await publish(outgoing, render, again=True)
    for publication in (first, second):
        await until(outgoing, publication, "published")
    assert len(youtube.videos) == 2


async def test_a_render_that_is_gone_and_a_consent_that_was_taken_back_stop_it(
    start: Any, account: str, youtube: YouTubeServer, render: str, until: Any, db: Any, studio_rooms: Any
) -> None:
    async with start() as outgoing:
        youtube.faults["start"] = [Says(503, headers={"retry-after": "60"})]
        publication = await publish(outgoing, render)
        await until(outgoing, publication, "uploading", waits="tries again")
    consent = await studio_rooms.consents.record(
        ConsentDraft(person="Ada", purpose="a film", granted_at=utcnow() - timedelta(days=1))
    )
    async with db.transaction() as session:
        row = await session.get(Render, render)
        spec = dict(row.spec)
        face = {
            "kind": "photo",
            "image": {"sha256": "sha256:" + "0" * 64},
            "consent": {
                "id": consent.id,
                "person": "Ada",
                "granted_at": "2026-01-01T00:00:00+00:00",
                "purpose": "a film",
            },
        }
        row.spec = {**spec, "scenes": [{**scene, "face": face} for scene in spec["scenes"]]}
        (await session.get(Publication, publication)).next_at = utcnow()
    await studio_rooms.consents.revoke(consent.id)
    async with start() as outgoing:
        view = await until(outgoing, publication, "failed")
        assert view.error.code == "consent.revoked" and youtube.videos == {}
        with pytest.raises(SoundstageError) as error:
            await publish(outgoing, render)
        assert error.value.code == "consent.revoked"
        await studio_rooms.renders.delete(render)
        await outgoing.publishing.retry(publication)
        view = await until(outgoing, publication, "failed")
        assert view.error.code == "publication.render_gone"


async def test_neither_tokens_nor_the_address_of_an_upload_can_be_read_in_the_database(
    outgoing: Any, youtube: YouTubeServer, render: str, until: Any, settings: Any, db: Any
) -> None:
    youtube.faults["piece"] = [Says(503, headers={"retry-after": "60"})]
    await until(outgoing, await publish(outgoing, render), "uploading", waits="tries again")
    with bypass_tenant_filter():
        async with db.session() as session:
            rows = [(await session.execute(select(table))).all() for table in Base.metadata.sorted_tables]
    assert "Nova's channel" in str(rows)
    for secret in ("refresh-1", "access-1", "/session/key-1", "client-secret-1"):
        assert secret not in str(rows)
    assert (Path(settings.state_dir) / "seal.key").stat().st_mode & 0o777 == 0o600
