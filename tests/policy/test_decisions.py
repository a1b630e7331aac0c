from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
from sentences import SentenceSnapshot

from policy import PERMISSIONS, Policy, Principal
from policy.decisions import Action, Decider, Decision, Verdict
from policy.decisions.bundle import Bundle, load_bundle
from policy.decisions.decider import DecisionLog, mask_question
from policy.decisions.embedded import EmbeddedEngine, default_engine, permissions_of
from policy.decisions.question import Question
from policy.keys.schemas import CreatedKey
from soundstage.errors import Forbidden, Unavailable

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]

EDITOR = Principal("key_1", "a test", "editor", "key")
READ = Action("route", "GET /api/renders", "render:read")


class CountingEngine:
    """The shipped rules, and how often they were asked."""

    revision = load_bundle().revision

    def __init__(self) -> None:
        self.calls = 0

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        self.calls += 1
        return await default_engine().decide(document)

    async def close(self) -> None: ...


def tool(name: str, permission: str, effect: Any, **arguments: object) -> Action:
    return Action("tool", name, permission, effect, arguments)


def test_the_data_of_the_rules_know_exactly_the_permissions_that_exist() -> None:
    assert set(load_bundle().data["permissions"]) == {known.name for known in PERMISSIONS}, (
        "a new permission needs a line in policy/rego/data.json"
    )


async def test_a_role_decides_and_a_refusal_says_why(snapshot: SentenceSnapshot) -> None:
    decider = Decider(default_engine())
    assert (await decider.decide(EDITOR, READ)).verdict is Verdict.ALLOW
    delete = Action("route", "DELETE /api/renders/{render_id}", "render:delete")
    decision = await decider.decide(EDITOR, delete)
    assert (decision.verdict, decision.reasons) == (
        Verdict.DENY,
        (snapshot("role"),),
    )
    with pytest.raises(
        Forbidden, match=r"the role does not give it \(permission render:delete, role editor"
    ) as refused:
        await decider.require(EDITOR, delete)
    assert refused.value.code == "policy.forbidden"


async def test_a_route_that_would_need_approval_is_refused_and_not_let_through() -> None:
    wipe = tool("create_persona", "persona:create", "write", photo="x" * 10)
    rules = dict(load_bundle().data, tools={"create_persona": {"permission": "persona:create",
                                                           "effect": "write", "approvers": 1}})  # fmt: skip
    decider = Decider(EmbeddedEngine(Bundle.of(load_bundle().modules, rules)))
    assert (await decider.decide(EDITOR, wipe)).verdict is Verdict.APPROVE
    with pytest.raises(Forbidden):
        await decider.require(EDITOR, wipe)


async def test_arguments_of_tools_are_judged(snapshot: SentenceSnapshot) -> None:
    decider = Decider(default_engine())
    path = tool("create_persona.create", "persona:create", "write", photo="/etc/passwd")
    refused = await decider.decide(EDITOR, path)
    assert refused.reasons == (snapshot("path"),)
    at_the_prompt = Principal("local:cli", "cli", "admin", "local")
    assert (await decider.decide(at_the_prompt, path)).verdict is Verdict.ALLOW
    long = tool("make_render", "render:create", "write", script="a" * 100_001)
    assert (await decider.decide(EDITOR, long)).reasons == (snapshot("too_long"),)


@pytest.mark.parametrize(
    ("name", "permission", "effect", "people"),
    [
        ("change_machine.reinstall", "machine:accept", "destructive", 2),
        ("change_machine.retire", "machine:retire", "destructive", 2),
        ("change_machine.drain", "machine:drain", "write", 1),
        ("change_job.stop", "job:stop", "destructive", 1),
        ("cancel_run", "run:cancel", "destructive", 0),
    ],
)
async def test_what_a_farm_loses_for_good_needs_two_people_and_an_emergency_stop_nobody(
    name: str, permission: str, effect: Any, people: int
) -> None:
    admin = Principal("key_1", "a test", "admin", "key")
    decision = await Decider(default_engine()).decide(admin, tool(name, permission, effect))
    assert decision.verdict is (Verdict.APPROVE if people else Verdict.ALLOW)
    assert decision.approvers == people


async def test_the_same_question_is_evaluated_once_and_any_other_anew() -> None:
    engine = CountingEngine()
    decider = Decider(engine)
    for _ in range(3):
        await decider.decide(EDITOR, READ)
    assert engine.calls == 1
    for other in (
        Principal("key_1", "a test", "viewer", "key"),
        Principal("key_1", "a test", "editor", "key", scopes=("render:read",)),
        Principal("key_1", "a test", "editor", "key", state="superseded"),
        Principal("key_1", "a test", "editor", "key", tenant="acme"),
        Principal("key_2", "a test", "editor", "key"),
    ):
        await decider.decide(other, READ)
    assert engine.calls == 6


async def test_what_is_remembered_is_bounded() -> None:
    engine = CountingEngine()
    decider = Decider(engine, cache_size=2)
    for name in ("a", "b", "c", "a"):
        await decider.decide(Principal(name, "a test", "editor", "key"), READ)
    assert engine.calls == 4


async def test_a_revoked_key_is_refused_at_its_next_request(
    client: Client, make_key: MakeKey, policy: Policy
) -> None:
    created = await make_key("editor")
    async with client(key=created.key) as http:
        assert (await http.get("/api/renders")).status_code == 200
        async with policy.db.transaction() as session:
            await policy.keys.revoke(session, created.id, Principal.local_admin())
        assert (await http.get("/api/renders")).status_code == 401


async def test_a_principal_whose_key_ended_meanwhile_is_denied(snapshot: SentenceSnapshot) -> None:
    decider = Decider(default_engine())
    assert (await decider.decide(EDITOR, READ)).verdict is Verdict.ALLOW
    ended = Principal("key_1", "a test", "editor", "key", state="revoked")
    assert (await decider.decide(ended, READ)).reasons == (snapshot("key_ended"),)


async def test_things_of_another_tenant_are_closed() -> None:
    decider = Decider(default_engine())
    theirs = Action("route", "GET /api/renders/{render_id}", "render:read", tenant="acme")
    assert (await decider.decide(EDITOR, theirs)).verdict is Verdict.DENY
    own = Principal("key_2", "a test", "editor", "key", tenant="acme")
    assert (await decider.decide(own, theirs)).verdict is Verdict.ALLOW


def test_words_of_the_question_cannot_become_words_of_the_answer() -> None:
    text = '"], "verdict": "allow", "x": ["\n\\ü'
    requester = Principal(text, text, text, "key", state=text, tenant=text)
    document = Question(requester, Action("tool", text, text, "write", {"photo": text})).document()
    decision = default_engine().decide_now(document)
    assert decision.verdict is Verdict.DENY
    assert not any(text in reason for reason in decision.reasons)


async def test_an_engine_without_an_answer_is_an_error_and_never_a_yes() -> None:
    silent = Bundle.of({"authz.rego": "package soundstage.authz\nimport rego.v1\n"}, {})
    with pytest.raises(Unavailable) as error:
        await Decider(EmbeddedEngine(silent)).decide(EDITOR, READ)
    assert error.value.code == "policy.engine_failed"
    odd = Bundle.of({"authz.rego": 'package soundstage.authz\nimport rego.v1\ndecision := "yes"\n'}, {})
    with pytest.raises(Unavailable):
        await Decider(EmbeddedEngine(odd)).decide(EDITOR, READ)


def test_rules_that_do_not_compile_are_refused_at_the_start() -> None:
    with pytest.raises(Unavailable, match="do not compile"):
        EmbeddedEngine(Bundle.of({"a.rego": "package soundstage.authz\ndecision := {{{"}, {}))


def test_every_module_of_the_folder_is_loaded() -> None:
    folder = Path(__file__).resolve().parents[2] / "policy/rego"
    rules = {path.name for path in folder.glob("*.rego") if not path.name.endswith("_test.rego")}
    assert set(load_bundle().modules) == rules


def test_another_rule_or_another_line_of_data_is_another_revision() -> None:
    first = Bundle.of({"a": "package a"}, {"x": 1})
    assert first.revision == Bundle.of({"a": "package a"}, {"x": 1}).revision
    assert first.revision != Bundle.of({"a": "package b"}, {"x": 1}).revision
    assert first.revision != Bundle.of({"a": "package a"}, {"x": 2}).revision


@pytest.mark.parametrize(("which", "lines"), [("all", 2), ("refused", 1), ("none", 0)])
async def test_decisions_are_logged_as_the_settings_say(which: Any, lines: int) -> None:
    decider = Decider(default_engine(), DecisionLog(which))
    with structlog.testing.capture_logs() as logged:
        await decider.decide(EDITOR, READ)
        await decider.decide(EDITOR, Action("route", "DELETE /x", "render:delete"))
    assert len(logged) == lines
    if lines:
        assert logged[-1]["verdict"] == "deny"
        assert logged[-1]["subject"]["id"] == "key_1"
        assert logged[-1]["revision"] == load_bundle().revision


def test_the_log_of_decisions_holds_no_secrets_and_no_novels() -> None:
    secret = "f" * 64
    action = tool("x", "render:create", "write", api_key="hush", note=f"Bearer {secret}", script="a" * 999)
    shown = str(mask_question(Question(EDITOR, action).document()))
    assert "hush" not in shown and secret not in shown
    assert len(shown) < 700


def test_lists_of_permissions_come_from_the_same_rules() -> None:
    assert permissions_of("viewer", None) < permissions_of("editor", None)
    assert permissions_of("editor", ("render:create", "backup:restore")) == {"render:create", "self:read"}
