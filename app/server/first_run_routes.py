"""The first run: which steps lead to a first film, and which are done; the page shows them as a list."""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
import time
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends

from app.composition import turn_limits
from app.farm_choice import nomad_address
from farm.nomad.overview import overview
from policy import Policy, Principal, require_permission
from policy.keys.service import LOCAL_KEY_MAKER
from policy.keys.states import USABLE
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from studio.first_run.schemas import FirstRunChange, FirstRunView
from studio.first_run.service import FirstRunService
from studio.first_run.states import Step

ReadFirstRun = Annotated[Principal, Depends(require_permission("first_run:read"))]
UpdateFirstRun = Annotated[Principal, Depends(require_permission("first_run:update"))]

FARM_TIMEOUT_S = 2.0
FARM_AGE_S = 60.0
FIRST_START = Principal.local_admin("first start").id
_DEVICES = Path("/dev")


class FarmSteps:
    """Looks for cards and machines, at most once a minute: the start of the page asks each time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: dict[Step, bool] = {}
        self._found_at = 0.0

    async def find(self) -> dict[Step, bool]:
        """Returns whether there are cards, and whether there are machines of a farm."""
        if not self._found or time.monotonic() - self._found_at > FARM_AGE_S:
            self._found = await self._look()
            self._found_at = time.monotonic()
        return self._found

    async def _look(self) -> dict[Step, bool]:
        if self._settings.farm.scheduler == "local":
            cards = await asyncio.to_thread(lambda: any(_DEVICES.glob("nvidia[0-9]*")))
            return {Step.GPU: cards, Step.MACHINES: False}
        try:
            async with asyncio.timeout(FARM_TIMEOUT_S):
                nodes = (await overview(nomad_address(self._settings))).nodes
        except (SoundstageError, TimeoutError):
            nodes = ()
        return {Step.GPU: any(node.cards for node in nodes), Step.MACHINES: bool(nodes)}


def first_run_router(first_run: FirstRunService, settings: Settings, policy: Policy) -> APIRouter:
    """`/api/first-run`."""
    router = APIRouter(prefix="/api", tags=["installation"])
    farm = FarmSteps(settings)

    async def outside(principal: Principal) -> dict[Step, bool]:
        """Returns the steps of the installation and of keys that are the caller's to take."""
        found: dict[Step, bool] = {}
        if principal.may("system:read"):
            found |= {Step.DOCTOR: False, Step.MODEL: turn_limits(settings) is not None, **await farm.find()}
        if principal.may("key:create"):
            found[Step.KEYS] = await has_other_keys(policy, principal)
        return found

    @router.get("/first-run")
    async def read_first_run(principal: ReadFirstRun) -> FirstRunView:
        """Return the steps of the first run of this tenant. What is there counts as done; the rest as it was
        marked.
        """
        return await first_run.read(await outside(principal))

    @router.patch("/first-run")
    async def change_first_run(change: FirstRunChange, principal: UpdateFirstRun) -> FirstRunView:
        """Choose a presenter, mark steps as done or skipped, or put the reminder away. Only what is named
        changes.
        """
        return await first_run.change(change, await outside(principal), by=principal.name)

    return router


async def has_other_keys(policy: Policy, principal: Principal) -> bool:
    """Returns whether somebody has made a key for others: the first start makes two by itself."""
    async with policy.db.session() as session:
        keys = await policy.keys.list(session, principal)
    return any(
        one.tenant == principal.tenant
        and one.state in USABLE
        and one.created_by not in (LOCAL_KEY_MAKER, FIRST_START)
        for one in keys
    )
