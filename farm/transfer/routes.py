"""The routes that workers on other machines call; each call carries the token of its one task."""

# No `from __future__ import annotations`: FastAPI reads these annotations at run time.
from collections.abc import AsyncIterator

from avatar.spec.work import SIGNED_HEADER, UploadAddress, UploadRequest, WorkOrder, WorkReply, WorkReport
from fastapi import APIRouter, Depends, Request, Response
from fastapi.requests import HTTPConnection
from fastapi.responses import FileResponse, RedirectResponse

from farm.transfer.service import TransferService
from policy import public
from soundstage.bearer import bearer_token
from soundstage.errors import Unauthorized

TRANSFER_PREFIX = "/api/farm/tasks"
MIB = 1 << 20
REASON = "a worker has no principal: it shows a token that is valid for its one task only"


def transfer_router(transfer: TransferService, *, upload_mib: int) -> APIRouter:
    """`upload_mib` bounds each file that a worker brings."""
    admitted = Depends(TransferAdmission(transfer))
    router = APIRouter(
        prefix=TRANSFER_PREFIX, tags=["farm"], dependencies=[Depends(public(REASON)), admitted]
    )

    @router.get("/{task_id}/order")
    async def order(task_id: str) -> WorkOrder:
        """Returns the order of the task with the files that it needs."""
        return await transfer.order(task_id)

    @router.get("/{task_id}/blobs/{sha256}", response_class=FileResponse)
    async def blob(task_id: str, sha256: str, request: Request) -> Response:
        """Returns one of the inputs of this task, or a redirect to its signed address in the bucket."""
        found = await transfer.find_input(task_id, sha256, signed=SIGNED_HEADER in request.headers)
        if isinstance(found, str):
            return RedirectResponse(found, status_code=307, headers={"Cache-Control": "no-store"})
        return FileResponse(found, media_type="application/octet-stream")

    @router.post("/{task_id}/outputs/{sha256}")
    async def output_address(task_id: str, sha256: str, upload: UploadRequest) -> UploadAddress:
        """Returns the signed address at which the worker puts this output, where there is a bucket."""
        return await transfer.output_address(task_id, sha256, upload.bytes, upload_mib * MIB)

    @router.put("/{task_id}/outputs/{sha256}", status_code=204, response_class=Response)
    async def output(task_id: str, sha256: str, request: Request) -> Response:
        """Takes a file that the worker has made; its content must have this hash."""
        kind = request.headers.get("content-type", "application/octet-stream")
        await transfer.bring(task_id, sha256, _body(request), kind, upload_mib * MIB)
        return Response(status_code=204)

    @router.post("/{task_id}/reports")
    async def reports(task_id: str, report: WorkReport) -> WorkReply:
        """Progress, log and end. A report that is repeated changes nothing."""
        return await transfer.report(task_id, report)

    return router


class TransferAdmission:
    """Raises for a connection without the token of the task in its path; also asked before large bodies are
    read.
    """

    def __init__(self, transfer: TransferService) -> None:
        self._transfer = transfer

    async def __call__(self, connection: HTTPConnection) -> None:
        task_id = str(connection.scope["path"]).removeprefix(f"{TRANSFER_PREFIX}/").partition("/")[0]
        token = bearer_token(connection)
        if not token:
            raise Unauthorized(
                "transfer.no_token", "The token of the task is missing.", "Send it as a bearer token."
            )
        await self._transfer.admit(task_id, token)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk
