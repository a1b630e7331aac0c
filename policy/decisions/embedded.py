"""Evaluates the Rego in this process (rego-cpp); the default engine, and what lists a role's permissions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from threading import Lock
from typing import Any

from pydantic import ValidationError
from regopy import Interpreter, RegoError

from policy.decisions.bundle import DECISION, PERMISSIONS, Bundle, load_bundle
from policy.decisions.engine import engine_failed
from policy.decisions.verdict import Decision
from soundstage.database.tenants import DEFAULT_TENANT


class EmbeddedEngine:
    """One interpreter with both queries compiled. It may be used from any thread, by one at a time."""

    def __init__(self, bundle: Bundle) -> None:
        self.revision = bundle.revision
        self._lock = Lock()
        self._interpreter = Interpreter()
        try:
            for name, source in bundle.modules.items():
                self._interpreter.add_module(name, source)
            self._interpreter.add_data_json(json.dumps(bundle.document()))
            self._queries = {
                query: self._interpreter.build(f"answer = {query}") for query in (DECISION, PERMISSIONS)
            }
        except RegoError as error:
            raise engine_failed(f"its rules do not compile: {error}") from error

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """A millisecond or two of this thread; the decider keeps answers."""
        return self.decide_now(document)

    def decide_now(self, document: Mapping[str, Any]) -> Decision:
        """The same for callers that cannot wait."""
        try:
            return Decision.model_validate(self._ask(DECISION, document))
        except ValidationError as error:
            raise engine_failed("its answer is not a decision") from error

    def permissions(self, document: Mapping[str, Any]) -> frozenset[str]:
        """All that the subject of the question may do."""
        return frozenset(self._ask(PERMISSIONS, document))

    async def close(self) -> None:
        """Nothing is held."""

    def _ask(self, query: str, document: Mapping[str, Any]) -> Any:
        with self._lock:
            try:
                self._interpreter.set_input(dict(document))
                output = self._interpreter.query_bundle(self._queries[query])
                answer = json.loads(str(output))
            except (RegoError, ValueError, TypeError) as error:
                raise engine_failed(f"the evaluator refused the question: {error}") from error
        try:
            return answer["bindings"]["answer"]
        except (KeyError, TypeError) as error:
            raise engine_failed("the rules gave no answer") from error


@cache
def default_engine() -> EmbeddedEngine:
    """The engine of the shipped rules; compiled once per process."""
    return EmbeddedEngine(load_bundle())


@lru_cache(maxsize=256)
def permissions_of(role: str, scopes: tuple[str, ...] | None, tenant: str = DEFAULT_TENANT) -> frozenset[str]:
    """Returns what a role with these scopes may do in a tenant; the rules of a process do not change."""
    subject = {"role": role, "scopes": None if scopes is None else list(scopes), "tenant": tenant}
    return default_engine().permissions({"subject": subject})
