"""Verbs on brand kits; each is one transaction. Called by routes and the agent's tools."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import tenant_attribute
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.events import EventStore
from soundstage.paging import Page, PageRequest
from soundstage.views import read_view
from studio.brands.models import Brand
from studio.brands.repository import BrandFilter, Brands, key_of
from studio.brands.schemas import BrandChange, BrandDraft, BrandKit, BrandView
from studio.projects.repository import Projects
from studio.references.repository import References
from studio.renders.media import check_media, hashes_in, media_in

MAX_BRANDS = 200
KIT_FIELDS = frozenset(BrandKit.model_fields)


@dataclass(frozen=True, slots=True)
class BrandService:
    """Event kinds, in the stream `brand:<id>`: brand.created, brand.changed, brand.deleted."""

    db: Database
    blobs: BlobStore
    events: EventStore
    audit: AuditLog

    async def find_page(self, criteria: BrandFilter, request: PageRequest) -> Page[BrandView]:
        async with self.db.session() as session:
            page = await Brands(session).page(criteria, request)
            return page.of([view_of(row) for row in page.items])

    async def get(self, ref: str) -> BrandView:
        """By id or name."""
        async with self.db.session() as session:
            return view_of(await brand_of(session, ref))

    async def create(self, draft: BrandDraft, *, by: str) -> BrandView:
        """Its files must be stored already; from now on the kit keeps them. Raises `brand.name_taken`."""
        sizes = await check_media(draft, self.blobs, self.db)
        async with self.db.transaction() as session:
            brands = Brands(session)
            await _refuse_taken(brands, draft.name)
            if await brands.count() >= MAX_BRANDS:
                raise Invalid(
                    "brand.too_many",
                    f"There are {MAX_BRANDS} brands already.",
                    "Delete one that is not used.",
                )
            kit = draft.model_dump(mode="json", include=set(KIT_FIELDS))
            row = await brands.add(Brand(key=key_of(draft.name), name=draft.name, kit=kit))
            await _hold(References(session), row, sizes)
            await self._record(session, row, "brand.created", by)
            return view_of(row)

    async def change(self, ref: str, change: BrandChange, *, by: str) -> BrandView:
        """The parts that were set in `change` replace the present ones. A file that the kit had stays, also
        when its asset was deleted.
        """
        async with self.db.session() as session:
            held = await References(session).sizes_of(owner_of(await brand_of(session, ref)))
        added = await check_media(change, self.blobs, self.db, held)
        async with self.db.transaction() as session:
            brands = Brands(session)
            row = await brand_of(session, ref)
            if change.name is not None and key_of(change.name) != row.key:
                await _refuse_taken(brands, change.name)
            if change.name is not None:
                row.name, row.key = change.name, key_of(change.name)
            fields = change.model_dump(mode="json", include=change.model_fields_set & KIT_FIELDS)
            kit = BrandKit.model_validate({**row.kit, **fields})
            row.kit = kit.model_dump(mode="json")
            row.updated_at = utcnow()
            references = References(session)
            sizes = {**await references.sizes_of(owner_of(row)), **added}
            named = hashes_in(kit)
            await _hold(references, row, {sha: size for sha, size in sizes.items() if sha in named})
            await self._record(session, row, "brand.changed", by)
            return view_of(row)

    async def delete(self, ref: str, *, by: str) -> None:
        """Raises Conflict `brand.in_use`. Videos that were made with it stay as they are."""
        async with self.db.transaction() as session:
            row = await brand_of(session, ref)
            if users := await Projects(session).slugs_with_brand(row.id):
                shown = ", ".join(users[:5]) + (", …" if len(users) > 5 else "")
                raise Conflict(
                    "brand.in_use",
                    f"The brand {row.name!r} is used by {len(users)} projects: {shown}.",
                    "Give them another brand or none first.",
                )
            await References(session).release(owner_of(row))
            await self._record(session, row, "brand.deleted", by)
            await Brands(session).delete(row)

    async def _record(self, session: AsyncSession, row: Brand, kind: str, by: str) -> None:
        facts = {"id": row.id, "name": row.name, "by": by, **tenant_attribute(row.tenant)}
        await self.events.append(session, owner_of(row), kind, facts)
        line = AuditEntry(kind, by, row.id, tenant=row.tenant, data={"name": row.name})
        await self.audit.record(session, line)


async def brand_of(session: AsyncSession, ref: str) -> Brand:
    """Returns the brand by id or name, or raises `brand.not_found`."""
    missing = NotFound("brand.not_found", f"There is no brand {ref!r}.", "Choose another brand, or none.")
    return await Brands(session).require(ref, missing)


async def kit_of(session: AsyncSession, ref: str) -> BrandKit:
    """Returns the kit for a video. Raises `brand.not_found`, and Conflict `brand.file_missing` where one of
    its files was erased, as those that show a person may be.
    """
    row = await brand_of(session, ref)
    kit = BrandKit.model_validate(row.kit)
    held = await References(session).sizes_of(owner_of(row))
    for where, media in media_in(kit):
        if media.sha256 not in held:
            raise Conflict(
                "brand.file_missing",
                f"The file of {where} of the brand {row.name!r} is not here any more.",
                f"Give the brand another {where.partition('.')[0]}, or none.",
            )
    return kit


def owner_of(row: Brand) -> str:
    """Returns who holds its files, and the name of its stream of events."""
    return f"brand:{row.id}"


def view_of(row: Brand) -> BrandView:
    return read_view(BrandView, row, **BrandKit.model_validate(row.kit).model_dump())


async def _refuse_taken(brands: Brands, name: str) -> None:
    other = await brands.find(name)
    if other is not None:
        raise Conflict(
            "brand.name_taken",
            f"Another brand is called {other.name!r} already.",
            "Choose another name.",
            field="name",
        )


async def _hold(references: References, row: Brand, sizes: dict[str, int]) -> None:
    await references.release(owner_of(row))
    for sha256, size in sizes.items():
        await references.hold(owner_of(row), "media", sha256, size)
