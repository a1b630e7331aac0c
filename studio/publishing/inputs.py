"""Looks up a publication's files, metadata and consents anew before every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from studio.consents.service import check_consents
from studio.publishing.errors import Refused
from studio.publishing.models import Publication
from studio.publishing.schemas import PublishRequest
from studio.publishing.states import PublicationState
from studio.renders.admission import consents_in
from studio.renders.making import spec_of
from studio.renders.models import RenderOutput
from studio.renders.repository import Renders

DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class UploadInputs:
    request: PublishRequest
    video: RenderOutput
    outputs: Mapping[str, RenderOutput]
    language: str


async def load_inputs(session: AsyncSession, row: Publication) -> UploadInputs:
    """Raises Refused when the render is gone, and `consent.revoked` when somebody has changed their mind."""
    render = await Renders(session).find(row.render_id) if row.render_id else None
    outputs = (
        {output.role: output for output in await Renders(session).outputs([render.id])} if render else {}
    )
    if render is None or "video" not in outputs:
        raise Refused(
            "publication.render_gone",
            "The render was deleted before its video was published.",
            "Make the video again, then publish that.",
        )
    if row.state != PublicationState.PROCESSING:
        await check_consents(session, consents_in(spec_of(render)))
    request = PublishRequest.model_validate(row.wishes)
    spoken = next((scene.get("language") for scene in render.spec.get("scenes", ())), None)
    return UploadInputs(request, outputs["video"], outputs, request.language or spoken or DEFAULT_LANGUAGE)
