"""REST of cloned voices: send a sample with its speaker's consent, list, remove."""

from __future__ import annotations

from fastapi import APIRouter, Request, status

from policy import Principal
from soundstage.errors import Forbidden, Invalid
from studio.assets.upload import Upload
from studio.bodies import body_schema, form_body, read_body
from studio.consents.disclosure import redact_voice
from studio.guards import CreateVoices, DeleteVoices, ReadVoices
from studio.idempotency.header import IdempotencyKeyDep
from studio.idempotency.service import Submission
from studio.voices.samples import MAX_SAMPLE_BYTES
from studio.voices.schemas import VoiceDraft, VoiceForm, VoiceLabels, VoiceOrder, VoiceView
from studio.voices.services import SpeechService
from studio.wiring import Studio, StudioDep

router = APIRouter(prefix="/api/voices", tags=["voices"])

_BODY = form_body(
    "1 to 30 s, at most 10 MiB",
    {
        "name": "",
        "said": "the words of the sample",
        "service": "",
        "consent_id": "",
        "person": "with purpose and granted_at: a new consent",
        "purpose": "",
        "granted_at": "",
        "evidence": "id of an asset",
        "service_consent": "",
    },
    required=("file", "name", "said"),
    others={"application/json": body_schema(VoiceDraft)},
)


@router.get("")
async def list_voices(studio: StudioDep, principal: ReadVoices) -> list[VoiceView]:
    """Newest first. Who agreed to what is shown only to those who may read consents."""
    return [_shown(principal, view) for view in await studio.voices.list()]


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BODY)
async def create_voice(
    request: Request, studio: StudioDep, principal: CreateVoices, key: IdempotencyKeyDep
) -> VoiceView:
    """Has a speech service of the operator's clone a voice: of a file in a form, or of an uploaded asset. It
    takes as long as the service needs.
    """
    labels, sha256 = await _order(request, studio, principal)
    service = _service_named_by(principal, labels)
    if key is None:
        return _shown(principal, await studio.voices.create(labels, sha256, service=service))
    order = VoiceOrder.model_validate(
        {**labels.model_dump(exclude={"asset", "key_env", "unlisted"}), "sample_sha256": sha256}
    )
    view = await studio.idempotency.once(
        Submission.of(principal.id, "voice:create", key, order),
        lambda claim: studio.voices.create(labels, sha256, service=service, claim=claim),
        studio.voices.get,
    )
    return _shown(principal, view)


@router.get("/{voice}")
async def get_voice(voice: str, studio: StudioDep, principal: ReadVoices) -> VoiceView:
    """By id or by name."""
    return _shown(principal, await studio.voices.get(voice))


@router.delete("/{voice}")
async def remove_voice(
    voice: str, studio: StudioDep, principal: DeleteVoices, forget: bool = False
) -> VoiceView:
    """At its service, then its sample, and the consent that was recorded with it. What still names it is
    refused from now on. `forget` does not ask the service: for one that is gone for good.
    """
    return _shown(principal, await studio.voices.remove(voice, forget=forget))


async def _order(request: Request, studio: Studio, principal: Principal) -> tuple[VoiceLabels, str]:
    """Returns the request and the hash of the sample, which is stored when it comes along."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        draft = read_body(VoiceDraft, await request.body(), _bad_labels)
        _require_consents(principal, draft)
        return draft, await studio.voices.sample_of(draft.asset)
    if kind != "multipart/form-data":
        raise Invalid(
            "voice.bad_form",
            "The sample of a voice comes in a form, or as the id of an asset.",
            "Send multipart/form-data with a `file`, or JSON with an `asset`.",
            415,
        )
    upload = Upload(request, MAX_SAMPLE_BYTES)
    blob, _ = await studio.assets.store(
        upload.chunks(), max_bytes=MAX_SAMPLE_BYTES, expected_bytes=upload.size_hint()
    )
    try:
        fields = {name: value for name, value in upload.fields.items() if value != ""}
        form = read_body(VoiceForm, fields, _bad_labels)
        _require_local(principal, form)
        _require_consents(principal, form)
    except (Invalid, Forbidden):
        await studio.voices.drop_unheld(blob.sha256)
        raise
    return form, blob.sha256


def _service_named_by(principal: Principal, labels: VoiceLabels) -> SpeechService | None:
    """Return the service that the user of this machine names, who says where samples may go; None for all
    others, whose service is one that is set up.
    """
    if not principal.is_local or not isinstance(labels, VoiceForm) or not labels.unlisted:
        return None
    return None if labels.service is None else SpeechService("openai", labels.service, labels.key_env)


def _require_consents(principal: Principal, labels: VoiceLabels) -> None:
    if labels.consent is not None and not principal.may("consent:create"):
        raise Forbidden(
            "consent.not_yours_to_record",
            "To record a consent together with a voice needs the permission consent:create.",
            "Name a recorded one as `consent_id`, or ask for that permission.",
        )


def _require_local(principal: Principal, form: VoiceForm) -> None:
    if (form.key_env is not None or form.unlisted) and not principal.is_local:
        raise Forbidden(
            "voice.key_env_not_allowed",
            "Only the user of the server's own machine names a variable of it, or an unlisted service.",
            "Set services.tts_openai.api_key_env there.",
        )


def _bad_labels(where: str, why: str) -> Invalid:
    return Invalid("voice.bad_labels", f"The field {where!r} cannot be used: {why}.", "Correct it.")


def _shown(principal: Principal, view: VoiceView) -> VoiceView:
    voice = redact_voice(principal, view.voice)
    return view.model_copy(update={"voice": voice, "consent": getattr(voice, "consent", view.consent)})
