"""Verbs on assets; each is one transaction. Called by routes, the agent's tools and the CLI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from policy import Principal
from soundstage.blobs import Blob, BlobStore, blob_not_found
from soundstage.database import Database, utcnow
from soundstage.database.storable import storable
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Invalid, NotFound
from soundstage.one_line import printable
from soundstage.paging import Page, PageRequest
from soundstage.views import read_view
from studio.assets.models import Asset, AssetTag
from studio.assets.probing import label_details
from studio.assets.repository import AssetFilter, Assets
from studio.assets.schemas import (
    AssetChange,
    AssetDraft,
    AssetKind,
    AssetLabels,
    AssetUses,
    AssetView,
    ProjectUse,
    RenderUse,
    TagCount,
)
from studio.assets.sniffing import SNIFF_BYTES, FileType, sniff
from studio.assets.uses_repository import Uses
from studio.projects.repository import Projects
from studio.projects.service import project_of
from studio.references.dropping import confirm_hold, drop_unheld
from studio.references.repository import References
from studio.renders.states import RenderState

MAX_TAGS_LISTED = 2000
MAX_USES = 100

_FAMILY_OF_KIND = {
    AssetKind.AVATAR_IMAGE: {"image"},
    AssetKind.AVATAR_VIDEO: {"video"},
    AssetKind.TTS_AUDIO: {"audio"},
    AssetKind.SCREEN_CAPTURE: {"video", "image"},
    AssetKind.COMPOSITED_SCENE: {"video"},
    AssetKind.IMAGE: {"image"},
    AssetKind.VIDEO: {"video"},
    AssetKind.AUDIO: {"audio", "video"},
    AssetKind.MOTION: {"motion"},
    AssetKind.MODEL: {"model"},
}


@dataclass
class AssetService:
    """`added` is called after each new asset, so that it is probed; `discard_renditions` with deleted owners
    ("asset:…"): it cancels their renditions and releases late references.
    """

    db: Database
    blobs: BlobStore
    _: KW_ONLY
    upload_mib: int
    added: Callable[[], None]
    discard_renditions: Callable[[Collection[str]], Awaitable[None]]

    def __post_init__(self) -> None:
        self.max_upload_bytes = self.upload_mib * (1 << 20)

    async def find_page(self, criteria: AssetFilter, request: PageRequest) -> Page[AssetView]:
        async with self.db.session() as session:
            project_id = None
            if criteria.project is not None:
                project_id = (await project_of(Projects(session), criteria.project)).id
            page = await Assets(session).page(criteria, project_id, request)
            return page.of([view_of(row) for row in page.items])

    async def get(self, asset_id: str) -> AssetView:
        async with self.db.session() as session:
            return view_of(await asset_of(session, asset_id))

    async def store(
        self, chunks: AsyncIterator[bytes], *, max_bytes: int | None = None, expected_bytes: int = 0
    ) -> tuple[Blob, FileType]:
        """Streams a file to disk. What it is decides its first bytes; before that nothing is kept of it.
        `max_bytes` is what a door takes that takes less than any upload may have; room for `expected_bytes`
        is reserved first.
        """
        limit = min(max_bytes or self.max_upload_bytes, self.max_upload_bytes)
        if expected_bytes:
            await self.blobs.check_room(expected_bytes)
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) >= SNIFF_BYTES:
                break
        found = sniff(bytes(head[:SNIFF_BYTES]))

        async def whole() -> AsyncIterator[bytes]:
            yield bytes(head)
            async for chunk in chunks:
                yield chunk

        blob = await self.blobs.put_stream(
            whole(), found.media_type, max_bytes=limit, expected_bytes=expected_bytes
        )
        return blob, found

    async def upload(self, chunks: AsyncIterator[bytes], labels: AssetLabels) -> AssetView:
        blob, found = await self.store(chunks)
        return await self.add(blob, found, labels)

    async def add(self, blob: Blob, found: FileType, labels: AssetLabels) -> AssetView:
        """Records a stored blob as an asset."""
        async with self.db.transaction() as session:
            project_id = (await project_of(Projects(session), labels.project)).id if labels.project else None
            asset = await insert_asset(session, blob, found, labels, project_id)
            view = view_of(asset)
        # Another request may have seen it without references, and deleted it, before this one was added.
        if not await confirm_hold(self.db, self.blobs, blob.sha256):
            await self.delete(view.id)
            raise blob_not_found(blob.sha256)
        self.added()
        return view

    async def create(self, draft: AssetDraft, principal: Principal) -> AssetView:
        """From a blob that is here already and that this person may see, such as the output of a render."""
        if not await self.may_see(principal, draft.sha256):
            raise blob_not_found(draft.sha256)
        path = await self.blobs.local_path(draft.sha256)
        with path.open("rb") as file:
            found = sniff(file.read(SNIFF_BYTES))
        return await self.add(Blob(draft.sha256, path.stat().st_size, found.media_type), found, draft)

    async def change(self, asset_id: str, change: AssetChange) -> AssetView:
        async with self.db.transaction() as session:
            asset = await asset_of(session, asset_id)
            fields = change.model_fields_set
            if "project" in fields:
                asset.project_id = (
                    (await project_of(Projects(session), change.project)).id if change.project else None
                )
            if "kind" in fields and change.kind is not None:
                asset.kind = change.kind
            if "name" in fields:
                asset.name = plain_name(change.name or "")
            if "duration_ms" in fields:
                asset.duration_ms = change.duration_ms
            if "tags" in fields:
                present = {one.tag: one for one in asset.tags}
                asset.tags = [present.get(tag) or AssetTag(tag=tag) for tag in change.tags]
            if "metadata" in fields:
                asset.details = label_details(change.metadata, asset.details)
            asset.updated_at = utcnow()
            return view_of(asset)

    async def delete(self, asset_id: str) -> None:
        """The bytes go with the next `gc`, when nothing else holds them."""
        async with self.db.transaction() as session:
            asset = await asset_of(session, asset_id)
            owner = f"asset:{asset.id}"
            await References(session).release(owner)
            await Assets(session).delete(asset)
        await self.discard_renditions({owner})

    async def discard(self, asset_id: str) -> None:
        """Deletes an asset that turned out to be for nothing; its bytes go at once, unless they are held."""
        sha256 = (await self.get(asset_id)).sha256
        await self.delete(asset_id)
        await drop_unheld(self.db, self.blobs, sha256)

    async def may_see(self, principal: Principal, sha256: str) -> bool:
        """Returns whether a stored file is shown to this person: as an asset, or as what a render has made.

        To know a hash is no right: most of what is stored belongs to something else, or to another tenant.
        """
        with tenant_scope(principal.tenant):
            async with self.db.session() as session:
                holds = await References(session).holds_of(sha256)
        return any(
            principal.may("asset:read")
            if owner.startswith("asset:")
            else owner.startswith("render:") and _is_shown(role) and principal.may("render:read")
            for owner, role in holds
        )

    async def tags(self) -> Sequence[TagCount]:
        """Tags that assets have, by name."""
        async with self.db.session() as session:
            return [
                TagCount(tag=tag, assets=count) for tag, count in await Assets(session).tags(MAX_TAGS_LISTED)
            ]

    async def uses(self, asset_id: str, principal: Principal) -> AssetUses:
        """Returns what uses its bytes, of what `principal` may read."""
        async with self.db.session() as session:
            asset = await asset_of(session, asset_id)
            uses = Uses(session, asset.sha256)
            projects = await uses.projects(MAX_USES) if principal.may("project:read") else None
            renders, total = await uses.renders(MAX_USES) if principal.may("render:read") else (None, None)
            personas = await uses.personas() if principal.may("persona:read") else None
            brands = await uses.brands() if principal.may("brand:read") else None
        return AssetUses(
            projects=None
            if projects is None
            else [
                ProjectUse(id=row.id, slug=row.slug, title=row.title, scenes=list(scenes), versions=versions)
                for row, scenes, versions in projects
            ],
            renders=None
            if renders is None
            else [RenderUse(id=row.id, title=row.title, state=RenderState(row.state)) for row in renders],
            renders_total=total,
            personas=personas,
            brands=brands,
        )

    async def open_file(self, asset_id: str) -> tuple[AssetView, Path]:
        view = await self.get(asset_id)
        return view, await self.blobs.local_path(view.sha256)


async def insert_asset(
    session: AsyncSession, blob: Blob, found: FileType, labels: AssetLabels, project_id: str | None
) -> Asset:
    """Adds an asset that holds its blob. Raises Invalid `asset.kind_mismatch`."""
    kind = labels.kind or AssetKind(found.family)
    if found.family not in _FAMILY_OF_KIND[kind]:
        raise Invalid(
            "asset.kind_mismatch",
            f"An asset of kind {kind} cannot be made of {found.media_type}.",
            "Choose another kind, or leave it out.",
        )
    asset = await Assets(session).add(
        Asset(
            project_id=project_id,
            kind=kind,
            name=plain_name(labels.name or ""),
            sha256=blob.sha256,
            bytes=blob.bytes,
            media_type=found.media_type,
            duration_ms=labels.duration_ms,
            details=label_details(labels.metadata, {}),
            tags=[AssetTag(tag=tag) for tag in labels.tags],
        )
    )
    await References(session).hold(f"asset:{asset.id}", "file", blob.sha256, blob.bytes)
    return asset


async def asset_of(session: AsyncSession, asset_id: str) -> Asset:
    missing = NotFound(
        "asset.not_found",
        f"There is no asset {asset_id!r}.",
        "Check the id: the answer to its upload named it.",
    )
    return await Assets(session).require(asset_id, missing)


def _is_shown(role: str) -> bool:
    """Returns what a render gives away; not what it was made of."""
    return role.startswith("output:") or role == "preview"


def plain_name(name: str) -> str:
    """Returns what people called the file, as a label: without folders and control characters. It never
    becomes a path.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    return printable(last, "")[:255]


def view_of(asset: Asset) -> AssetView:
    digits = asset.sha256.removeprefix("sha256:")
    return read_view(
        AssetView,
        asset,
        kind=AssetKind(asset.kind),
        path=f"{digits[:2]}/{digits}",
        url=f"/api/assets/{asset.id}/file",
        picture=f"/api/assets/{asset.id}/thumbnail?v={digits[:12]}"
        if asset.media_type.startswith(("image/", "video/"))
        else None,
        tags=sorted(one.tag for one in asset.tags),
        # What was stored before labels were checked must not break the list it is in.
        metadata=storable(asset.details),
    )
