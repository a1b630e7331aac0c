"""Routes for machines: they have no API keys, so each route checks a signature or a token itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.requests import HTTPConnection

from policy import public
from provisioning_api.enrolment.own_token import member
from provisioning_api.enrolment.schemas import (
    ENGINES,
    Challenge,
    ChallengeRequest,
    Claimed,
    EngineName,
    Exchange,
    JoinTokens,
    Membership,
    RenewalCall,
    Renewed,
    SignedCall,
    SignedReport,
)
from provisioning_api.machines.schemas import Discovered
from provisioning_api.reach import ProvisioningDep
from soundstage.errors import Forbidden

AGENT_PREFIX = "/api/agent"


async def require_tls(connection: HTTPConnection) -> None:
    """Raises `enrolment.needs_tls` on the plain port: there is no way down to it."""
    if connection.scope.get("scheme") not in ("https", "wss"):
        raise Forbidden(
            "enrolment.needs_tls",
            "This call is answered on the TLS port only.",
            "Use the https address, and trust our CA alone.",
        )


def source_of(request: Request) -> str | None:
    """The address at the other end of the connection."""
    return None if request.client is None else request.client.host


router = APIRouter(prefix=AGENT_PREFIX, tags=["agent"], dependencies=[Depends(require_tls)])

WITHOUT_KEY = [Depends(public("a machine that nobody knows yet may say that it is there"))]
SIGNED = [Depends(public("the call carries a signature of the machine's ramdisk"))]
TOKEN = [Depends(public("the call carries a token of one use"))]
OWN_TOKEN = [Depends(public("the call carries the token that the machine got when it enrolled"))]
HELD_KEY = [Depends(public("the call is signed with the key of a certificate of ours"))]
NO_SECRET = [Depends(public("a challenge is no secret, and good for nothing without a key"))]

Source = Annotated[str | None, Depends(source_of)]


@router.post("/discover", dependencies=WITHOUT_KEY)
async def discover(call: SignedReport, services: ProvisioningDep, source: Source) -> Discovered:
    """A ramdisk says what it found, signed by its key. It is put on the list, and waits."""
    return await services.ramdisks.discover(call, source=source)


@router.post("/claim", dependencies=SIGNED)
async def claim(call: SignedCall, services: ProvisioningDep) -> Claimed:
    """Returns what a ramdisk does next, with a token when it is armed."""
    return await services.ramdisks.claim(call)


@router.post("/enrol", dependencies=TOKEN)
async def enrol(exchange: Exchange, services: ProvisioningDep, source: Source) -> Membership:
    """One token, once, for the certificates of a member."""
    return await services.enrolments.exchange(exchange, source=source or "unknown")


@router.post("/collect", dependencies=SIGNED)
async def collect(call: SignedCall, services: ProvisioningDep) -> Membership:
    """The answer to an exchange again, for the ramdisk that made it: nothing new is signed."""
    return await services.ramdisks.collect(call)


@router.post("/join-tokens", dependencies=OWN_TOKEN)
async def make_join_tokens(
    services: ProvisioningDep,
    machine_id: Annotated[str, Depends(member)],
    engine: Annotated[EngineName | None, Query(description="only this one's; both unless given")] = None,
) -> JoinTokens:
    """Creates new tokens with which a member joins Nomad and Consul."""
    return await services.enrolments.join_tokens(machine_id, ENGINES if engine is None else (engine,))


@router.post("/challenge", dependencies=NO_SECRET)
async def make_challenge(request: ChallengeRequest, services: ProvisioningDep) -> Challenge:
    """For one call, to be signed within fifteen minutes of our clock."""
    return Challenge(challenge=services.ramdisks.challenges.make(request.subject))


@router.post("/renew", dependencies=HELD_KEY)
async def renew(call: RenewalCall, services: ProvisioningDep, source: Source) -> Renewed:
    """The next certificates of a member, asked for with the key of the ones before."""
    return await services.renewal.renew(call, source=source or "unknown")
