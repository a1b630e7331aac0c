"""REST of transcriptions: `POST /api/transcriptions`."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from agent.transcription.schemas import Transcription, TranscriptionRequest
from agent.transcription.service import TranscriptionService
from policy import Principal, require_permission
from soundstage.errors import Invalid
from soundstage.routers import AppService
from studio.assets.upload import Upload
from studio.bodies import body_schema
from studio.wiring import StudioDep

Transcriber = Annotated[Principal, Depends(require_permission("asset:transcribe"))]
Transcriptions = Annotated[TranscriptionService, Depends(AppService("transcription"))]
Form = Annotated[
    Literal["json", "text", "vtt", "srt"], Query(description="`json`: all; else only that, as text")
]
MEDIA_TYPES = {"text": "text/plain", "vtt": "text/vtt", "srt": "application/x-subrip"}
router = APIRouter(prefix="/api/transcriptions", tags=["transcriptions"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": body_schema(TranscriptionRequest)},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "language": {"type": "string"},
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("", response_model=Transcription, openapi_extra=_BODY)
async def transcribe(
    request: Request,
    studio: StudioDep,
    transcription: Transcriptions,
    principal: Transcriber,
    form: Form = "json",
) -> Response | Transcription:
    """Returns the speech of a recording or video: text, words with times, captions as WebVTT and SubRip.

    A file as form or raw body, of which nothing is kept, or JSON that names an asset.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        try:
            body = TranscriptionRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise Invalid(
                "transcription.bad_request",
                f"This request names no asset: {error.errors()[0]['msg']}.",
                'Send `{"asset": "ast_…"}`, or the file itself.',
            ) from error
        asset = await studio.assets.get(body.asset)
        found = await transcription.transcribe(principal, asset.sha256, asset.id, body.language)
    else:
        upload = Upload(request, studio.assets.max_upload_bytes)
        blob, _ = await studio.assets.store(upload.chunks(), expected_bytes=upload.size_hint())
        try:
            language = upload.fields.get("language", "")[:12]
            found = await transcription.transcribe(principal, blob.sha256, "upload", language)
        finally:
            await transcription.drop(blob.sha256)
    if form == "json":
        return found
    return Response(getattr(found, form), media_type=f"{MEDIA_TYPES[form]}; charset=utf-8")
