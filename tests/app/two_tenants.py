"""Two tenants with keys at the whole application, and one thing of each kind that is of the first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import event

from agent.triggers.schemas import StoredCall, When
from agent.triggers.service import Draft
from app.composition import Services
from policy import Principal
from policy.keys.schemas import KeyRequest
from soundstage.database import Base, utcnow
from soundstage.database.tenants import TenantOwned, tenant_scope
from studio.personas.schemas import Persona
from studio.publishing.models import Account, Publication
from studio.references.repository import References
from studio.renders.models import Render, RenderOutput
from studio.voices.models import ClonedVoice

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 8
OWNER, RIVAL = "acme", "rival"
ADA = {"id": "ada", "name": "Ada", "face": {"kind": "rig", "character": "nova"}}


async def key_of(services: Services, tenant: str, role: str = "admin") -> str:
    """A key of that tenant, made by the operator."""
    async with services.database.transaction() as session:
        request = KeyRequest(name=f"{role} of {tenant}", role=role, tenant=tenant)
        created = await services.policy.keys.create(session, request, Principal.local_admin())
    return created.key


@asynccontextmanager
async def calling(app: FastAPI, key: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="https://test", headers=headers) as client:
        yield client


@dataclass
class Statements:
    """The statements on tables of tenants that do not say whose rows they mean."""

    unbound: list[str]

    @classmethod
    @asynccontextmanager
    async def record(cls, services: Services) -> AsyncIterator[Statements]:
        owned = [
            mapper.local_table.name
            for mapper in Base.registry.mappers
            if issubclass(mapper.class_, TenantOwned)
        ]
        found = cls([])

        def look(_c: Any, _cur: Any, sql: str, *_: Any) -> None:
            text = f"{sql.replace(chr(10), ' ').replace('(', ' ')} "
            reads = any(f"{word} {table} " in text for table in owned for word in ("FROM", "UPDATE", "JOIN"))
            # Files of presenters are copied to each machine for all tenants, each into its own folder.
            # Places in the queue count the renders of all: their ids alone.
            shared = ("FROM persona_files ", "SELECT renders.id FROM renders WHERE renders.state IN")
            plain = f"{' '.join(text.split())} "
            if reads and ".tenant = " not in plain and not any(one in plain for one in shared):
                found.unbound.append(sql)

        engines = {services.database.engine.sync_engine, services.database._writing_engine.sync_engine}
        for engine in engines:
            event.listen(engine, "before_cursor_execute", look)
        try:
            yield found
        finally:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", look)


async def things_of(services: Services, client: httpx.AsyncClient) -> dict[str, str]:
    """The names in paths, and what they are for the things that this caller has made."""

    async def create(path: str, **body: Any) -> Any:
        answer = await client.post(path, **body)
        assert answer.status_code < 300, f"{path}: {answer.text}"
        return answer.json()

    with tenant_scope(OWNER):
        services.studio.library.save(Persona.model_validate(ADA))
    project = (await create("/api/projects", json={"title": "Secret tides"}))["slug"]
    scene = await create(f"/api/projects/{project}/scenes", json={"script": "Hello", "persona": "ada"})
    asset = await create("/api/assets?name=a.jpg", content=JPEG)
    begun = await client.post("/api/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
    consent = await create(
        "/api/consents", json={"person": "Ada", "purpose": "films", "granted_at": "2026-01-01T00:00:00Z"}
    )
    render = (await create("/api/renders", json={"project": project}))["id"]
    brand = await create("/api/brands", json={"name": "Secret harbour"})
    webhook = await create("/api/webhooks", json={"url": "http://127.0.0.1:9/hook"})
    reported = await create(f"/api/webhooks/{webhook['id']}/test")
    text = await create("/api/chat", json={"message": "Remember that the cellar key is under the mat"})
    session = text["session_id"]
    await create("/api/snapshots", json={"name": "tides", "session_id": session})
    me = (await client.get("/api/me")).json()
    planner = Principal(me["id"], me["name"], me["role"], "key", tenant=OWNER)
    noon = Draft(
        When(every="day", time="12:00", zone="Europe/Berlin"),
        [StoredCall(tool="list_renders")],
        "Secret noon",
    )
    (trigger,) = await services.tool_services.triggers.create(planner, session, [noon])
    await create("/api/chat", json={"message": "forget everything you remember", "session_id": session})
    approval = (await client.get("/api/approvals")).json()[0]["id"]
    key = (await client.get("/api/keys")).json()[0]["id"]
    with tenant_scope(OWNER):
        account, publication = await _published(services, render)
        voice = await _cloned(services, consent["id"])
    await _finished(services, render)
    ends = (utcnow() + timedelta(days=7)).isoformat()
    link = (await create(f"/api/renders/{render}/links", json={"expires_at": ends}))["id"]
    return {
        "ref": project,
        "scene_id": scene["id"],
        "number": "1",
        "asset_id": asset["id"],
        "brand_id": brand["id"],
        "consent_id": consent["id"],
        "render_id": render,
        "job_id": render,
        "link_id": link,
        "role": "video",
        "webhook_id": webhook["id"],
        "delivery_id": reported["id"],
        "session_id": session,
        "name": "tides",
        "memory_id": (await client.get("/api/memory/export")).json()["memories"][0]["id"],
        "approval_id": approval,
        "trigger_id": trigger.id,
        "key_id": key,
        "persona_id": "ada",
        "agent_id": "ada",
        "upload_id": begun.headers["location"].rpartition("/")[2],
        "account_id": account,
        "voice": voice,
        "publication_id": publication,
        "record_id": session,
        "sha256": asset["sha256"],
    }


async def _cloned(services: Services, consent_id: str) -> str:
    """A voice that a speech service has made, as far as the records tell."""
    service = {"kind": "openai", "base_url": "http://127.0.0.1:9", "service": "http://127.0.0.1:9"}
    async with services.database.transaction() as session:
        row = ClonedVoice(
            name="ada", state="ready", voice_id="ada-1", said="The tide.", consent_id=consent_id,
            own_consent=True, **service,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        return row.id


async def _published(services: Services, render_id: str) -> tuple[str, str]:
    async with services.database.transaction() as session:
        sealed = {"refresh_token_sealed": "x", "access_token_sealed": "x", "access_expires_at": utcnow()}
        account = Account(channel_id="UC1", title="Ours", connected_by="a test", **sealed)
        session.add(account)
        await session.flush()
        row = Publication(
            render_id=render_id, account_id=account.id, state="failed", wishes={"title": "T"}, bytes_total=1
        )
        session.add(row)
        await session.flush()
        return account.id, row.id


async def _finished(services: Services, render_id: str) -> None:
    """With a video and a picture, as if a worker had made them."""
    film, frame = await services.blobs.put_bytes(MP4, "video/mp4"), await services.blobs.put_bytes(JPEG)
    with tenant_scope(OWNER):
        async with services.database.transaction() as session:
            row = await session.get(Render, render_id)
            assert row is not None
            row.state, row.finished_at = "done", utcnow()
            preview = {"scene": "s", "frame": 1, "sha256": frame.sha256, "url": "/x"}
            row.progress = {**row.progress, "preview": preview}
            output = {"name": "f.mp4", "sha256": film.sha256, "bytes": film.bytes, "media_type": "video/mp4"}
            session.add(RenderOutput(render_id=render_id, role="video", **output))
            await References(session).hold(f"render:{render_id}", "output:video", film.sha256, film.bytes)
