"""REST of the policy test."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from policy.decisions.testing import ActionView, PolicyAnswer, PolicyQuestion, PolicyTest
from policy.declarations import list_route_grants
from policy.guard import require_permission
from policy.principal import Principal
from soundstage.routers import AppService

Tester = Annotated[Principal, Depends(require_permission("policy:test"))]
Test = Annotated[PolicyTest, Depends(AppService("policy_test"))]
router = APIRouter(prefix="/api/policy", tags=["policy"])


@router.get("/actions")
async def list_actions(request: Request, test: Test, _: Tester) -> list[ActionView]:
    """Lists the permissions, the tools and the routes that a question may be about."""
    return test.actions(list_route_grants(request.app))


@router.post("/test")
async def test_policy(
    question: PolicyQuestion, request: Request, test: Test, principal: Tester
) -> PolicyAnswer:
    """Returns what the policy would decide, why, and how many people would have to agree; nothing is done,
    and the question is recorded.
    """
    return await test.answer(question, principal, list_route_grants(request.app))
