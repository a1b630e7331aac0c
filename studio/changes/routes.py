"""REST of batches of changes, below their project."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from soundstage.errors import problem_response
from studio.changes.schemas import ChangeBatch, ProjectState, StaleProblem
from studio.changes.service import StaleRevision
from studio.guards import UpdateProjects
from studio.idempotency.header import IdempotencyKeyDep
from studio.idempotency.service import Submission
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/projects/{ref}/changes", tags=["projects"])


class _Fingerprint(BaseModel):
    """Identifies a request also by the project that it is for and by the fields that it sets."""

    ref: str
    batch: dict[str, Any]


@router.post(
    "",
    response_model=ProjectState,
    responses={status.HTTP_409_CONFLICT: {"model": StaleProblem, "description": "not on this revision"}},
)
async def change_project_and_scenes(
    ref: str, batch: ChangeBatch, studio: StudioDep, principal: UpdateProjects, key: IdempotencyKeyDep
) -> ProjectState | Response:
    """All changes in their order, or none: as one revision, and with one event `project.changed`. On another
    revision than `base_revision` the answer is 409 `project.changed` with the `current` state.
    """
    try:
        if key is None:
            return await studio.changes.apply(ref, batch, principal)
        same = _Fingerprint(ref=ref, batch=batch.model_dump(mode="json", exclude_unset=True))
        return await studio.idempotency.once(
            Submission.of(principal.id, "project:changes", key, same),
            lambda claim: studio.changes.apply(ref, batch, principal, claim),
            studio.changes.state,
        )
    except StaleRevision as error:
        return problem_response(error, current=error.current.model_dump(mode="json"))
