"""`soundstage experts`: the language models that the agent can ask, from Consul and from the settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output


def register(cli: typer.Typer) -> None:
    @cli.command()
    def experts(
        ask: Annotated[bool, typer.Option("--try", help="Ask each for a word, and measure it.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List the language models that can be asked, what they are good at and how they do."""
        printer = output(as_json)
        path = "/api/chat/experts"
        found = call_studio(lambda api: api.post(f"{path}/try") if ask else api.get(path))
        for problem in found["problems"]:
            printer.note(problem)
        columns = ["name", "from", "family", "topics", "state", "answers", "to the first word", "address"]
        rows = (_row(one) for one in found["experts"])
        printer.listing(found, columns, rows, empty="There are none; the sentence grammar does the work.")


def _row(one: dict[str, Any]) -> list[object]:
    calls, latency_ms = one["calls"], one["latency_ms"]
    answered = f"{calls - one['failures']} of {calls}" if calls else "–"
    latency = "–" if latency_ms is None else f"{latency_ms} ms"
    topics = ", ".join(one["topics"]) or "any"
    family = one.get("family") or "–"
    return [one["name"], one["source"], family, topics, one["state"], answered, latency, one["address"]]
