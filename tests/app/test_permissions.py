"""Every route and every tool declares what it needs, and nothing is reachable without."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from agent.tools import ALL_TOOLS
from agent.tools.toolset import AnyTool
from app.composition import Services
from app.provisioning import build_process
from app.server.web import create_app
from policy import PERMISSIONS, check_routes, list_route_grants
from policy.decisions.bundle import load_bundle
from policy.roles import roles

NAMES = {permission.name for permission in PERMISSIONS}


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


def test_every_route_declares_a_permission_or_why_it_is_public(app: FastAPI) -> None:
    check_routes(app)
    grants = list_route_grants(app)
    assert len(grants) > 40
    assert {name for grant in grants for name in grant.permissions} <= NAMES


def test_a_route_that_declares_nothing_is_refused(app: FastAPI) -> None:
    @app.get("/api/forgotten")
    async def find_unguarded() -> None: ...

    with pytest.raises(RuntimeError, match="forgotten"):
        check_routes(app)


def test_every_route_of_both_processes_has_a_rule(app: FastAPI, services: Services) -> None:
    rules = load_bundle().data
    for served in (app, build_process(services.settings).app()):
        for grant in list_route_grants(served):
            if grant.permissions:
                assert set(grant.permissions) <= set(rules["permissions"]), f"no rule for {grant}"
            else:
                assert str(grant) in rules["public"], (
                    f"{grant} is public; say so in policy/rego/data.json too"
                )


def test_every_tool_has_a_rule_and_every_rule_a_tool() -> None:
    rules = load_bundle().data["tools"]
    tools = {rule: tool for tool in ALL_TOOLS for rule in tool.rules}
    declared = {rule: (act.permission, act.effect) for tool in ALL_TOOLS for rule, act in tool.rules.items()}
    assert {name: (rule["permission"], rule["effect"]) for name, rule in rules.items()} == declared, (
        "policy/rego/tools.json is generated: run make docs"
    )
    for name, rule in rules.items():
        named = {*rule.get("files", ()), *rule.get("at_most", ())}
        named |= {condition["argument"] for condition in rule.get("ask", ())}
        assert named <= set(tools[name].request.model_fields), f"the rule {name} names arguments it has not"


def test_there_are_few_tools() -> None:
    """A request to a model carries ten of them (`test_offered_tools.py`); people read all in `help`."""
    assert len(ALL_TOOLS) <= 32


@pytest.mark.parametrize("tool", ALL_TOOLS, ids=lambda tool: tool.name)
def test_every_tool_declares_permission_purpose_and_effect(tool: AnyTool) -> None:
    assert set(tool.permissions) <= set(NAMES)
    assert tool.purpose.endswith(".")
    assert tool.effect in ("read", "write", "destructive")


SOME_READ = frozenset({"approval:read", "audit:read", "system:read", "asset:transcribe"})
"""Permissions of reading tools that a viewer lacks: what others did or ask for, faults, recognition."""


def test_what_changes_something_says_how_to_undo_it_and_no_viewer_may_call_it() -> None:
    viewer = next(role for role in roles().values() if role.name == "viewer")
    for tool in ALL_TOOLS:
        assert bool(tool.undo) == (tool.effect != "read")
        for rule, act in tool.rules.items():
            for_all = act.effect == "read" and act.permission not in SOME_READ
            assert (act.permission in viewer.permissions) == for_all, rule


async def test_without_a_key_every_guarded_route_answers_401(services: Services) -> None:
    app = create_app(services)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        for grant in list_route_grants(app):
            # tests/agent/test_socket.py knocks at the WebSocket.
            if not grant.permissions or grant.methods == ("ANY",):
                continue
            for method in grant.methods:
                path = grant.path.replace("{", "").replace("}", "")
                answer = await client.request(method, path, json={})
                assert answer.status_code == 401, (method, path, answer.text)
