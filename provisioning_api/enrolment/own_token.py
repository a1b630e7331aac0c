"""Finds the machine whose enrolment token a request carries; called by routes for enrolled machines."""

from __future__ import annotations

import hashlib
import re

from fastapi import Request

from provisioning_api.enrolment.repository import MachineTokens
from provisioning_api.reach import ProvisioningDep
from soundstage.bearer import bearer_token
from soundstage.errors import Unauthorized

_API_KEY = re.compile(r"[0-9a-f]{64}")


async def own_machine(request: Request, services: ProvisioningDep) -> str | None:
    """The id of the machine whose token stands in the Authorization header; None for everything else."""
    token = bearer_token(request)
    # API keys are 64 hex digits and machines' tokens are not: one look at the database serves either.
    if not token or _API_KEY.fullmatch(token):
        return None
    digest = hashlib.sha256(token.encode()).hexdigest()
    async with services.db.session() as session:
        return await MachineTokens(session).machine_of(digest)


async def member(request: Request, services: ProvisioningDep) -> str:
    """Does the same; raises Unauthorized for all other callers."""
    machine_id = await own_machine(request, services)
    if machine_id is None:
        raise Unauthorized(
            "machine.bad_token",
            "This is no machine's token, or not any more.",
            "Show the token that the machine got when it enrolled.",
        )
    return machine_id
