"""Turns a job of the older GPU worker into a render; called by the worker endpoint's routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avatar.spec import Consent, LipsyncSpec, MediaRef, RenderSpec
from avatar.spec.job import (
    QUALITIES,
    Family,
    JobRefused,
    Presenter,
    WorkerJob,
    face_of,
    read_job,
    spec_of_job,
)
from pydantic import ValidationError

from policy import Principal
from soundstage.errors import Forbidden, Invalid
from studio.assets.schemas import AssetView
from studio.assets.service import AssetService
from studio.consents.schemas import ConsentDraft
from studio.consents.service import ConsentService
from studio.personas.library import PersonaLibrary
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.service import RenderService
from studio.renders.specs import spec_of_script
from studio.worker_jobs.fetching import FileFetcher

PERSONA = "nova"


@dataclass(frozen=True, slots=True)
class WorkerJobService:
    assets: AssetService
    renders: RenderService
    consents: ConsentService
    library: PersonaLibrary
    fetcher: FileFetcher

    async def run(self, order: dict[str, Any], principal: Principal) -> RenderView:
        """Fetch what the job names, and queue its video.

        Raises Invalid `job.…` (`job.image_missing` for pictures), Forbidden `consent.required` before
        anything is fetched, what forbids to fetch a URL, and what `RenderService.create` raises. Files that
        were fetched for nothing are removed.
        """
        try:
            job = read_job({"input": order})
            job.canvas  # noqa: B018 - a size that no video has is refused before anything is fetched
        except JobRefused as refused:
            raise _told(refused) from refused
        self._check_rights(job, principal)
        fetched: list[AssetView] = []
        try:
            for url, what in ((job.image_url, "image_url"), (job.audio_url, "audio_url")):
                if url is not None:
                    fetched.append(await self.fetcher.fetch(url, what))
            request = await self._request(job, fetched)
            return await self.renders.create(request, requested_by=principal.name)
        except BaseException:
            for asset in fetched:
                await self.assets.delete(asset.id)
            raise

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

    async def _request(self, job: WorkerJob, fetched: list[AssetView]) -> RenderRequest:
        image = next((one for one in fetched if job.image_url is not None), None)
        audio = fetched[-1] if job.audio_url is not None else None
        sound = None if audio is None else _ref(audio, "audio_url", ("audio", "video"))
        try:
            if image is None:
                return RenderRequest(spec=self._spoken(job, sound))
            ref = _ref(image, "image_url", ("image", "video"))
            family: Family = "video" if image.media_type.startswith("video/") else "image"
            spec = spec_of_job(job, Presenter(), face_of(ref, family, await self._consent(job)), sound)
        except JobRefused as refused:
            raise _told(refused) from refused
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

    async def _consent(self, job: WorkerJob) -> Consent:
        """One on record, by its id alone: whoever admits the render puts in what it says."""
        consent_id = _named_consent(job)
        given = job.consent
        if consent_id is None and given is not None:
            try:
                draft = ConsentDraft.model_validate(
                    {"person": given.person, "purpose": given.purpose, "granted_at": given.granted_at}
                )
            except ValidationError as error:
                raise JobRefused(
                    "job.invalid", "consent.granted_at is no date or time.", "Write it as 2026-11-02."
                ) from error
            consent_id = (await self.consents.record(draft)).id
        return Consent(id=consent_id or "", person="-", granted_at="-", purpose="-")


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


def _told(refused: JobRefused) -> Invalid:
    return Invalid(refused.code, refused.message, refused.hint)
