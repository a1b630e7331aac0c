"""Turns a job of the older GPU worker into a render; called by the worker endpoint's routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from avatar.spec import Consent, LipsyncSpec, MediaRef, RenderSpec
from avatar.spec.job import (
    QUALITIES,
    Family,
    JobConsent,
    JobRefused,
    Presenter,
    WorkerJob,
    face_of,
    read_job,
    spec_of_job,
)
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from policy import Principal
from soundstage.database import new_id
from soundstage.errors import Forbidden, Invalid, TooManyRequests
from studio.assets.schemas import AssetView
from studio.assets.service import AssetService
from studio.consents.schemas import ConsentDraft
from studio.consents.service import ConsentService, record
from studio.personas.library import PersonaLibrary
from studio.references.repository import References
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.service import RenderService
from studio.renders.specs import spec_of_script
from studio.worker_jobs.fetching import FileFetcher

PERSONA = "nova"


AT_ONCE = 4
AT_ONCE_PER_TENANT = 2
RETRY_AFTER_S = 5


class FetchSlots:
    """Belongs to one event loop; callers do not wait for a slot."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, tenant: str) -> Iterator[None]:
        """One for the block. Raises TooManyRequests `job.too_many_fetches`."""
        if self._taken[tenant] >= AT_ONCE_PER_TENANT or self._taken.total() >= AT_ONCE:
            raise TooManyRequests(
                "job.too_many_fetches",
                "Files of other jobs are being fetched.",
                f"Send the job again in a few seconds; {AT_ONCE_PER_TENANT} of a tenant fetch at a time, "
                f"{AT_ONCE} in all.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            # Names of tenants that are gone are not kept.
            self._taken += Counter()


@dataclass(frozen=True, slots=True)
class FaceConsent:
    """The consent for the face in `image_url`: on record under `id`, or to be recorded there (`draft`)."""

    id: str
    draft: ConsentDraft | None

    async def bind(self, session: AsyncSession, image: AssetView) -> None:
        """Records it where it is not, and ties the picture to it, which erasing the person then finds."""
        if self.draft is not None:
            await record(session, self.draft, consent_id=self.id)
        await References(session).derive(f"asset:{image.id}", [f"consent:{self.id}"])


@dataclass(frozen=True, slots=True)
class WorkerJobService:
    assets: AssetService
    renders: RenderService
    consents: ConsentService
    library: PersonaLibrary
    fetcher: FileFetcher
    slots: FetchSlots = field(default_factory=FetchSlots)

    async def run(self, order: dict[str, Any], principal: Principal) -> RenderView:
        """Fetch what the job names, and queue its video.

        Raises Invalid `job.…` (`job.image_missing` for pictures), Forbidden `consent.required` and
        `consent.revoked` before anything is fetched, TooManyRequests `job.too_many_fetches`, what forbids to
        fetch a URL, and what `RenderService.create` raises. Files that were fetched for nothing are removed,
        and a consent in the job is recorded with the render or not at all.
        """
        try:
            job = read_job({"input": order})
            job.canvas  # noqa: B018 - a size that no video has is refused before anything is fetched
        except JobRefused as refused:
            raise _as_invalid(refused) from refused
        self._check_rights(job, principal)
        consent = await self._face_consent(job)
        fetched: list[AssetView] = []
        try:
            await self._fetch(job, principal.tenant, fetched)

            async def bind(session: AsyncSession) -> None:
                if consent is not None:
                    await consent.bind(session, fetched[0])

            request = self._request(job, fetched, consent)
            return await self.renders.create(request, requested_by=principal.name, prepare=bind)
        except BaseException:
            for asset in fetched:
                await self.assets.discard(asset.id)
            raise

    async def _fetch(self, job: WorkerJob, tenant: str, fetched: list[AssetView]) -> None:
        """The picture first. What has been fetched is in `fetched` also where a later file fails."""
        named = ((job.image_url, "image_url"), (job.audio_url, "audio_url"))
        downloads = [(url, what) for url, what in named if url is not None]
        if not downloads:
            return
        with self.slots.take(tenant):
            for url, what in downloads:
                fetched.append(await self.fetcher.fetch(url, what))

    def _check_rights(self, job: WorkerJob, principal: Principal) -> None:
        if job.image_url or job.audio_url:
            principal.require("asset:create")
        if job.image_url is None:
            return
        if job.consent is None and job.consent_id is None:
            raise Forbidden(
                "consent.required",
                "The face in image_url belongs to a person, and the job holds no consent of theirs.",
                "Add `consent` (person, purpose, granted_at) to `input`, or the `consent_id` of a record.",
            )
        if _named_consent(job) is None:
            principal.require("consent:create")

    def _request(
        self, job: WorkerJob, fetched: list[AssetView], consent: FaceConsent | None
    ) -> RenderRequest:
        image = fetched[0] if job.image_url is not None else None
        audio = fetched[-1] if job.audio_url is not None else None
        sound = None if audio is None else _ref(audio, "audio_url", ("audio", "video"))
        try:
            if image is None or consent is None:
                return RenderRequest(spec=self._spoken(job, sound))
            ref = _ref(image, "image_url", ("image", "video"))
            family: Family = "video" if image.media_type.startswith("video/") else "image"
            # Its id alone: the admission of the render fills in the record.
            named = Consent(id=consent.id, person="-", granted_at="-", purpose="-")
            spec = spec_of_job(job, Presenter(), face_of(ref, family, named), sound)
        except JobRefused as refused:
            raise _as_invalid(refused) from refused
        if isinstance(spec, LipsyncSpec):
            return RenderRequest(lipsync=spec, title=job.title)
        return RenderRequest(spec=spec)

    def _spoken(self, job: WorkerJob, sound: MediaRef | None) -> RenderSpec:
        """By one of the personas there are, in as many scenes as it takes."""
        request = RenderRequest(
            script=job.script,
            audio=sound,
            persona=job.persona or PERSONA,
            title=job.title,
            language=job.language,
            canvas=job.canvas,
            captions=job.captions,
            duration_s=job.duration,
        )
        spec = spec_of_script(request, self.library)
        output = spec.output.model_copy(update={"video": QUALITIES[job.quality]})
        return spec.model_copy(update={"output": output})

    async def _face_consent(self, job: WorkerJob) -> FaceConsent | None:
        """None for a job without a picture. Raises Forbidden `consent.…`, Invalid `job.invalid`."""
        if job.image_url is None:
            return None
        consent_id = _named_consent(job)
        if consent_id is not None:
            await self.consents.check(consent_id, "The face in image_url")
            return FaceConsent(consent_id, None)
        return None if job.consent is None else FaceConsent(new_id("cns"), _draft_of(job.consent))


def _draft_of(consent: JobConsent) -> ConsentDraft:
    try:
        return ConsentDraft.model_validate(
            {"person": consent.person, "purpose": consent.purpose, "granted_at": consent.granted_at}
        )
    except ValidationError as error:
        raise Invalid(
            "job.invalid", "consent.granted_at is no date or time.", "Write it as 2026-11-02."
        ) from error


def _named_consent(job: WorkerJob) -> str | None:
    return job.consent_id or (job.consent.id if job.consent is not None else None)


def _ref(asset: AssetView, what: str, families: tuple[str, ...]) -> MediaRef:
    if asset.media_type.partition("/")[0] not in families:
        raise Invalid(
            "job.wrong_file",
            f"The file of {what} is {asset.media_type}.",
            f"Name one of these kinds: {', '.join(families)}.",
        )
    return MediaRef(sha256=asset.sha256, media_type=asset.media_type, name=asset.name or None)


def _as_invalid(refused: JobRefused) -> Invalid:
    return Invalid(refused.code, refused.message, refused.hint)
