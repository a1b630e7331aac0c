"""A persona that people of the studio have made, for tests of what is done with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.composition import Services
from studio.assets.schemas import AssetLabels
from studio.consents.schemas import ConsentDraft
from studio.personas.schemas import Persona

DAY = "2026-01-05T00:00:00Z"
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"grace" * 50


async def photographed(services: Services) -> str:
    """The persona Grace (`grace`), with a face of somebody who agreed; the hash of the photo."""

    async def chunks() -> AsyncIterator[bytes]:
        yield PHOTO

    asset = await services.studio.assets.upload(chunks(), AssetLabels(name="grace.jpg"))
    draft = ConsentDraft.model_validate({"person": "Grace H.", "purpose": "films", "granted_at": DAY})
    consent = await services.studio.consents.record(draft)
    arguments = {"id": consent.id, "person": "Grace H.", "purpose": "films", "granted_at": DAY}
    face = {"kind": "photo", "image": {"sha256": asset.sha256}, "consent": arguments}
    services.studio.library.save(Persona.model_validate({"id": "grace", "name": "Grace", "face": face}))
    return asset.sha256
