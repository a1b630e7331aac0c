"""REST of the dossier compiler: `POST /api/compile`, an upload, and what was compiled for a persona."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from agent.dossiers.compiling import compile_bytes
from agent.dossiers.problems import BadDossier
from agent.dossiers.reading import MAX_BYTES
from agent.dossiers.registry import DossierRegistry
from agent.dossiers.schemas import Compiled, Workflow
from policy import Principal, require_permission
from soundstage.errors import Invalid, TooLarge
from soundstage.errors.problems import problem_response
from soundstage.routers import AppService

Maker = Annotated[Principal, Depends(require_permission("persona:create"))]
Reader = Annotated[Principal, Depends(require_permission("persona:read"))]
Save = Annotated[bool, Query(description="put it among the personas")]
Replace = Annotated[
    bool, Query(description="in the place of one that was compiled before: needs persona:update")
]

CHANGING = "persona:update"

_JSON_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "description": "a DIS 1.6 dossier"}}},
    }
}
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "contentMediaType": "application/json"}},
                }
            }
        },
    }
}


Registry = Annotated[DossierRegistry, Depends(AppService("dossiers"))]
router = APIRouter(tags=["dossiers"])


@router.post("/api/compile", response_model=Compiled, openapi_extra=_JSON_BODY)
async def compile_json(
    request: Request, registry: Registry, principal: Maker, save: Save = False, replace: Replace = False
) -> Response | Compiled:
    """A dossier becomes persona, workflow and mock API. All faults come at once, by JSON pointer."""
    _check_right(principal, replace)
    return await _compiled(registry, await _body(request), save=save, replace=replace)


@router.post("/api/compile/upload", response_model=Compiled, openapi_extra=_FILE_BODY)
async def compile_upload(
    request: Request, registry: Registry, principal: Maker, save: Save = False, replace: Replace = False
) -> Response | Compiled:
    """The same for a file, in the field `file`."""
    _check_right(principal, replace)
    return await _compiled(registry, await _file(request), save=save, replace=replace)


@router.post("/api/compile/save/{persona_id}", response_model=Compiled, openapi_extra=_JSON_BODY)
async def compile_and_save(
    persona_id: str, request: Request, registry: Registry, principal: Maker, replace: Replace = False
) -> Response | Compiled:
    """Compiles a dossier and saves it as the persona of this id."""
    _check_right(principal, replace)
    body = await _body(request)
    return await _compiled(registry, body, persona_id, save=True, replace=replace)


@router.get("/api/personas/{persona_id}/workflow")
async def workflow(persona_id: str, registry: Registry, _: Reader) -> Workflow:
    """The steps of a persona that was compiled from a dossier."""
    return (await asyncio.to_thread(registry.read, persona_id)).workflow


@router.get("/api/personas/{persona_id}/mock-api")
async def mock_api(persona_id: str, registry: Registry, _: Reader) -> dict[str, Any]:
    """The OpenAPI document of its mock API; `soundstage compile --serve` serves one."""
    return (await asyncio.to_thread(registry.read, persona_id)).api


def _check_right(principal: Principal, replace: bool) -> None:
    """Requires `persona:update` to replace a persona: `persona:create` is not enough."""
    if replace:
        principal.require(CHANGING)


async def _compiled(
    registry: DossierRegistry,
    content: bytes,
    persona_id: str | None = None,
    *,
    save: bool = False,
    replace: bool = False,
) -> Response | Compiled:
    try:
        # A thread of its own: a large dossier takes a second, and must not block the event loop.
        compiled = await asyncio.to_thread(compile_bytes, content, persona_id)
    except BadDossier as error:
        return _refused(error)
    return await registry.save(compiled, replace=replace) if save else compiled


def _refused(error: BadDossier) -> Response:
    more = f" There are {error.count - 1} more faults." if error.count > 1 else ""
    problem = Invalid(
        "dossier.invalid",
        f"The dossier cannot be compiled: {error.problems[0].sentence()}{more}",
        "`errors` lists every fault with its place as a JSON pointer.",
    )
    return problem_response(problem, errors=[one.model_dump() for one in error.problems])


async def _body(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            raise _too_large()
    return content


async def _file(request: Request) -> bytes:
    try:
        async with request.form(max_files=1, max_fields=5, max_part_size=MAX_BYTES) as form:
            file = form.get("file")
            if isinstance(file, str):
                return file.encode()
            if not isinstance(file, UploadFile):
                raise Invalid("dossier.no_file", "The form has no file.", "Send it in the field `file`.")
            content = await file.read(MAX_BYTES + 1)
    except HTTPException as error:
        raise Invalid(
            "dossier.bad_form", f"The form cannot be read: {error.detail}", "Send one file."
        ) from error
    if len(content) > MAX_BYTES:
        raise _too_large()
    return content


def _too_large() -> TooLarge:
    return TooLarge(
        "dossier.too_large", f"A dossier may have {MAX_BYTES >> 20} MiB.", "Split it, or leave documents out."
    )
