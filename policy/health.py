"""The route that load balancers and start scripts poll; both servers have it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from policy.guard import public

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/health", dependencies=[Depends(public("load balancers ask before anybody can log in"))])
@router.get("/api/health", dependencies=[Depends(public("load balancers ask before anybody can log in"))])
async def health() -> Health:
    """Return `ok` while the server answers."""
    return Health()
