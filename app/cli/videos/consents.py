"""Reads and records consents for commands: from options, or from the record beside the file
(`ada.png.consent.json`). Called by `soundstage render SPEC`, `lipsync` and `voices add`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from avatar.spec import Consent, Face, MediaRef, PhotoFace, RenderSpec, RigFace
from avatar.spec.consent_file import EXAMPLE, consent_file, read_consent
from pydantic import ValidationError

from app.cli.studio_api import StudioApi
from soundstage.errors import Forbidden, Invalid, SoundstageError
from studio.consents.schemas import ConsentDraft, ConsentView, start_of_day_utc


@dataclass(frozen=True, slots=True)
class ConsentOptions:
    """The options `--person` and `--purpose`: both or none."""

    person: str | None
    purpose: str | None

    def __post_init__(self) -> None:
        blank = [value is None or not value.strip() for value in (self.person, self.purpose)]
        if any(blank) and (self.person, self.purpose) != (None, None):
            raise Invalid(
                "consent.incomplete",
                "A consent needs the person and the purpose.",
                'Give both --person "Ada Example" and --purpose "course videos".',
            )


async def find_or_record_consent(
    api: StudioApi, file: Path | None, options: ConsentOptions
) -> Consent | None:
    """Returns the studio's consent for a face, which is recorded now if it is new; None without options or a
    record beside the file of the face. Raises Invalid `consent.unreadable`, `consent.in_future`.
    """
    if options.person is not None and options.purpose is not None:
        draft = ConsentDraft(
            person=options.person.strip(), purpose=options.purpose.strip(), granted_at=datetime.now(UTC)
        )
        known = [view for view in await _matching(api, draft) if view.revoked_at is None]
    elif file is not None and consent_file(file).is_file():
        draft = await asyncio.to_thread(read_draft, consent_file(file))
        # A revoked one is found too, and refused: the file beside the picture does not hold its revocation.
        granted_at = start_of_day_utc(draft.granted_at)
        known = [view for view in await _matching(api, draft) if view.granted_at == granted_at]
    else:
        return None
    view = known[0] if known else await _record(api, draft)
    return Consent(
        id=view.id, person=view.person, granted_at=view.granted_at.isoformat(), purpose=view.purpose
    )


async def spec_with_consents(
    api: StudioApi, spec: RenderSpec, folder: Path, options: ConsentOptions
) -> RenderSpec:
    """Returns the spec with a consent in each face of a person that names none. `folder`: of the paths in it.

    Raises Invalid as `find_or_record_consent`, and `consent.several_faces` for one consent and faces of
    several files.
    """
    if options.person is not None:
        _require_one_face(spec)
    scenes = []
    for scene in spec.scenes:
        cast = []
        for one in scene.all_speakers:
            face = await _face_with_consent(api, one.face, folder, options)
            cast.append(one.model_copy(update={"face": face}))
        scenes.append(scene.with_cast(cast))
    return spec.model_copy(update={"scenes": tuple(scenes)})


async def _face_with_consent(api: StudioApi, face: Face, folder: Path, options: ConsentOptions) -> Face:
    if isinstance(face, RigFace) or face.consent is not None:
        return face
    media = face.image if isinstance(face, PhotoFace) else face.video
    file = None if media.path is None else folder / media.path
    if file is not None and not file.is_file():
        return face  # The missing file is reported by the next step; do not record a consent for it.
    return face.model_copy(update={"consent": await find_or_record_consent(api, file, options)})


def _without_consent(spec: RenderSpec) -> Iterator[MediaRef]:
    """Returns the files of faces without a consent, in the order of scenes."""
    for face in (one.face for scene in spec.scenes for one in scene.all_speakers):
        if not isinstance(face, RigFace) and face.consent is None:
            yield face.image if isinstance(face, PhotoFace) else face.video


def _require_one_face(spec: RenderSpec) -> None:
    media = {(shown.path, shown.sha256) for shown in _without_consent(spec)}
    if len(media) > 1:
        raise Invalid(
            "consent.several_faces",
            f"--person names one person, and {len(media)} files show faces without a consent.",
            "Write a record beside each file (FILE.consent.json), or a `consent` into each face.",
        )


def first_face_without_consent(spec: RenderSpec, folder: Path) -> Path | None:
    """Returns the file of the first face that has no consent."""
    shown = next(_without_consent(spec), None)
    return None if shown is None or shown.path is None else folder / shown.path


@contextmanager
def with_consent_hint(file: Path | None) -> Iterator[None]:
    """Replaces the hint of `consent.required` by how to give the consent on the command line. `file`: the
    face's; None where the spec names a consent that is not on record.
    """
    try:
        yield
    except SoundstageError as error:
        if error.code != "consent.required":
            raise
        ways = 'give the same command with --person "NAME" --purpose "WHAT FOR"'
        raise Forbidden(
            error.code,
            error.message,
            f"If that person has agreed, leave `consent` out of the face and {ways}."
            if file is None
            else f"If that person has agreed, {ways}. Or write {consent_file(file)}: {EXAMPLE}",
        ) from error


async def _matching(api: StudioApi, draft: ConsentDraft) -> list[ConsentView]:
    key = (draft.person, draft.purpose)
    views = [ConsentView.model_validate(row) for row in await api.get("/api/consents")]
    return [view for view in views if (view.person, view.purpose) == key]


async def _record(api: StudioApi, draft: ConsentDraft) -> ConsentView:
    return ConsentView.model_validate(await api.post("/api/consents", draft.model_dump(mode="json")))


def read_draft(path: Path) -> ConsentDraft:
    """Returns the consent in a file. Raises Invalid `consent.unreadable`."""
    try:
        found = read_consent(path)
        return ConsentDraft.model_validate(
            {"person": found.person, "purpose": found.purpose, "granted_at": found.granted_at}
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise Invalid(
            "consent.unreadable", f"{path} holds no record of consent: {reason}.", f"It is JSON: {EXAMPLE}."
        ) from error
