"""Rows of a tenant are seen by that tenant alone, also those that jobs of the installation insert."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import StatementError

from policy.audit import AuditLog
from soundstage.database.tenants import (
    NO_TENANT,
    TenantOwned,
    bypass_tenant_filter,
    current_tenant,
    require_tenant,
    tenant_bypass_context,
    tenant_scope,
)
from soundstage.errors import NotFound
from studio.assets.models import Asset
from studio.assets.schemas import AssetLabels
from studio.personas.schemas import PersonaDraft
from studio.projects.models import Project
from studio.projects.schemas import ProjectDraft
from studio.references.models import BlobReference
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.renders.segments import segment_key
from studio.retention.service import RetentionRules
from studio.webhooks.schemas import WebhookDraft

pytestmark = pytest.mark.each_database

PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"grace" * 50
CONSENT = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}


async def tenants_in(db: Any, table: type[TenantOwned]) -> set[str]:
    with bypass_tenant_filter():
        async with db.session() as session:
            return set(await session.scalars(select(table.tenant)))


async def test_a_render_and_all_that_comes_of_it_is_its_tenants(
    rooms: Any, render_to_end: Any, db: Any, events: Any, audit: AuditLog
) -> None:
    with tenant_scope("acme"):
        view = await render_to_end(rooms, "hello")
        assert view.state == "done" and [one.id for one in await rooms.renders.list()] == [view.id]
        assert (await rooms.renders.explain(view.id)).startswith("done")
    for table in (Render, RenderOutput, RenderSegment, Segment, BlobReference):
        assert await tenants_in(db, table) == {"acme"}, table
    assert await rooms.renders.list() == []
    for requests in (
        rooms.renders.get(view.id),
        rooms.renders.get(view.id[-6:]),
        rooms.renders.open_output(view.id, "video"),
        rooms.renders.cancel(view.id),
        rooms.renders.retry(view.id),
        rooms.renders.delete(view.id),
        anext(rooms.renders.follow(view.id)),
    ):
        with pytest.raises(NotFound) as missing:
            await requests
        assert missing.value.code == "render.not_found"
    reported = await events.read(f"render:{view.id}")
    assert {event.data["tenant"] for event in reported} == {"acme"}
    assert [line.kind for line in await audit.read(0, 10, "acme")] == ["artefact.made"]
    assert await audit.read(0, 10, "default") == []


async def test_the_same_scene_is_made_anew_for_another_tenant(rooms: Any, render_to_end: Any) -> None:
    """That it is there already would tell one what another has made."""
    reused = []
    for tenant in ("acme", "acme", "rival", "default", "default"):
        with tenant_scope(tenant):
            view = await render_to_end(rooms, "Our new ship is called Deep Water")
            reused.append((await rooms.renders.detail(view.id)).segments[0].reused)
    assert reused == [False, True, False, False, True]
    keys = {segment_key("sha256:" + "a" * 64, "1.0", tenant) for tenant in ("default", "acme", "rival")}
    assert len(keys) == 3 and "a" * 64 + "-1.0" in keys


async def test_two_tenants_have_the_same_person_and_one_of_them_lets_her_go(
    rooms: Any, blobs: Any, settings: Any
) -> None:
    async def chunks() -> Any:
        yield PHOTO

    assets = {}
    for tenant in ("acme", "rival"):
        with tenant_scope(tenant):
            assets[tenant] = await rooms.assets.upload(chunks(), AssetLabels(name="grace.jpg"))
            draft = {"name": "Grace", "media": assets[tenant].id, "consent": CONSENT}
            created = await rooms.personas.create(PersonaDraft.model_validate(draft))
            assert created.persona.id == "grace"
    assert "grace" not in {persona.id for persona in rooms.library.list()}
    with tenant_scope("acme"):
        plan = await rooms.people.erase_persona("grace")
        assert plan.personas == ["grace"] and plan.assets == [assets["acme"].id]
        assert {persona.id for persona in rooms.library.list()} == {"nova"}
    with tenant_scope("rival"):
        assert rooms.library.get("grace").name == "Grace"
        view, path = await rooms.assets.open_file(assets["rival"].id)
        assert path.read_bytes() == PHOTO
        await rooms.people.erase_persona("grace")
    assert not await blobs.exists(view.sha256), "the last who had her photo has let it go"


async def test_a_webhook_hears_of_its_tenant_only(rooms: Any, render_to_end: Any, db: Any) -> None:
    hooks = {}
    for tenant in ("acme", "rival"):
        with tenant_scope(tenant):
            draft = WebhookDraft(url="http://127.0.0.1:9/")
            hooks[tenant] = await rooms.outgoing.webhooks.create(draft, created_by="a test")
    with tenant_scope("acme"):
        await render_to_end(rooms, "hello")
    async with rooms.outgoing:
        for _ in range(1200):
            with tenant_scope("acme"):
                found = await rooms.outgoing.webhooks.deliveries(hooks["acme"].id)
            if len(found) >= 4:
                break
            await asyncio.sleep(0.05)
    assert {one.kind for one in found} >= {"render.created", "render.done"}
    with tenant_scope("rival"):
        assert await rooms.outgoing.webhooks.deliveries(hooks["rival"].id) == []
        with pytest.raises(NotFound):
            await rooms.outgoing.webhooks.deliveries(hooks["acme"].id)


async def test_the_house_cleans_up_for_all(rooms: Any, render_to_end: Any) -> None:
    for tenant in ("acme", "rival"):
        with tenant_scope(tenant):
            await render_to_end(rooms, f"hello {tenant}")
    plan = await rooms.retention.plan(RetentionRules(render_days=0, unused_blob_hours=0, segment_mib=0))
    assert len(plan.of("render")) == 2 and len(plan.of("segment")) == 2
    stored = await rooms.retention.plan(RetentionRules(unused_blob_hours=0))
    assert stored.of("blob") == [], "what any tenant holds is held"


async def test_every_kind_of_statement_is_about_own_rows(studio_rooms: Any, db: Any) -> None:
    for tenant, title in (("acme", "Theirs"), ("default", "Ours")):
        with tenant_scope(tenant):
            await studio_rooms.projects.create(ProjectDraft(title=title))
    with tenant_scope("acme"):
        async with db.session() as session:
            theirs = await session.scalar(select(Project.id))
    async with db.session() as session:
        assert await session.get(Project, theirs) is None
        assert await session.scalar(select(func.count()).select_from(Project)) == 1
        assert await session.scalar(select(func.count(Project.id))) == 1
        inner = select(Project.id).where(Project.title == "Theirs").scalar_subquery()
        assert await session.scalar(select(Project.title).where(Project.id == inner)) is None
    async with db.transaction() as session:
        await session.execute(update(Project).values(subtitle="changed"))
        await session.execute(delete(Asset))
        await session.execute(delete(Project).where(Project.id == theirs))
    with tenant_scope("acme"):
        async with db.session() as session:
            row = await session.get(Project, theirs)
            assert row is not None and row.subtitle == ""


async def test_without_a_tenant_no_row_is_seen_and_a_bypass_has_to_name_the_tenant(
    studio_rooms: Any, db: Any
) -> None:
    with tenant_scope(NO_TENANT), pytest.raises(RuntimeError, match="not authenticated"):
        require_tenant()
    with bypass_tenant_filter(), pytest.raises(StatementError, match="filter is bypassed"):
        async with db.transaction() as session:
            session.add(Asset(kind="image", sha256="x", bytes=1, media_type="image/png"))
    await studio_rooms.projects.create(ProjectDraft(title="Ours"))
    with tenant_scope(NO_TENANT):
        assert await studio_rooms.projects.list() == []
    assert current_tenant() == "default"
    assert tenant_bypass_context().run(current_tenant) is None
