"""The OPA server as evaluator, a real one; `make policy-test` compares both engines at length."""

from __future__ import annotations

import asyncio
import importlib.util
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from policy import Principal
from policy.decisions import Action, Decider, Verdict
from policy.decisions.bundle import Bundle, load_bundle
from policy.decisions.embedded import EmbeddedEngine
from policy.decisions.opa_server import OpaEngine
from policy.keys.schemas import CreatedKey
from soundstage.errors import Unavailable


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


opa = _load("opa_server")
EDITOR = Principal("key_1", "a test", "editor", "key")
READ = Action("route", "GET /api/renders", "render:read")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with opa.opa_server() as address:
        yield address


async def agree(url: str, count: int) -> Counter[Verdict]:
    """Asks both engines; gives how often each verdict came."""
    rules = opa.rules()
    engine, here, found = OpaEngine(url, rules), EmbeddedEngine(rules), Counter[Verdict]()
    try:
        pending: list[Any] = []
        for question in opa.questions(count):
            pending.append(question)
            if len(pending) == 50:
                await compare(engine, here, pending, found)
                pending = []
        await compare(engine, here, pending, found)
    finally:
        await engine.close()
    return found


async def compare(
    engine: OpaEngine, here: EmbeddedEngine, questions: list[Any], found: Counter[Verdict]
) -> None:
    for question, theirs in zip(questions, await asyncio.gather(*map(engine.decide, questions)), strict=True):
        ours = here.decide_now(question)
        assert ours == theirs, question
        found[ours.verdict] += 1


async def test_both_engines_agree(url: str) -> None:
    found = await agree(url, 500)
    assert min(found[verdict] for verdict in Verdict) > 0


@pytest.mark.slow
async def test_both_engines_agree_on_ten_thousand_questions(url: str) -> None:
    found = await agree(url, 10_000)
    assert min(found[verdict] for verdict in Verdict) > 50


async def test_a_server_without_our_rules_gets_them(url: str) -> None:
    engine = OpaEngine(url, load_bundle())
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        for name in reversed(list(load_bundle().modules)):
            await http.delete(f"/v1/policies/soundstage/{name}")
    assert (await Decider(engine).decide(EDITOR, READ)).verdict is Verdict.ALLOW
    await engine.close()


async def test_rules_of_another_revision_are_replaced_and_not_believed(url: str) -> None:
    open_door = 'package soundstage.authz\nimport rego.v1\ndecision := {"verdict": "allow"}\n'
    foreign = OpaEngine(url, Bundle.of({**load_bundle().modules, "authz.rego": open_door}, {}))
    with pytest.raises(Unavailable):
        await foreign.decide({"action": {}})
    engine = OpaEngine(url, load_bundle())
    decision = await Decider(engine).decide(EDITOR, Action("route", "DELETE /x", "render:delete"))
    assert (decision.verdict, decision.revision) == (Verdict.DENY, load_bundle().revision)
    await foreign.close()
    await engine.close()


async def test_without_a_server_nobody_gets_in() -> None:
    engine = OpaEngine(f"http://127.0.0.1:{opa.free_port()}", load_bundle())
    with pytest.raises(Unavailable) as error:
        await Decider(engine).decide(EDITOR, READ)
    assert error.value.code == "policy.engine_failed"
    await engine.close()


async def test_a_missing_token_file_is_told(url: str, tmp_path: Path) -> None:
    engine = OpaEngine(url, load_bundle(), tmp_path / "none")
    with pytest.raises(Unavailable, match="none"):
        await engine.decide({})
    await engine.close()


async def test_an_application_can_ask_opa_and_is_closed_without_it(
    url: str,
    client_with: Callable[..., Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]],
    make_key: Callable[..., Awaitable[CreatedKey]],
) -> None:
    viewer = await make_key("viewer")
    by_opa = {"SOUNDSTAGE_POLICY__ENGINE": "opa", "SOUNDSTAGE_POLICY__OPA_URL": url}
    async with client_with(**by_opa)(key=viewer.key) as http:
        assert (await http.get("/api/renders")).status_code == 200
        refused = await http.post("/api/renders")
        assert (refused.status_code, refused.json()["code"]) == (403, "policy.forbidden")
    by_opa["SOUNDSTAGE_POLICY__OPA_URL"] = f"http://127.0.0.1:{opa.free_port()}"
    async with client_with(**by_opa)(key=viewer.key) as http:
        closed = await http.get("/api/renders")
        assert (closed.status_code, closed.json()["code"]) == (503, "policy.engine_failed")
        assert (await http.get("/api/open")).status_code == 200
