"""`soundstage experts`: the language models that the agent can ask, from Consul and from the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.experts import ExpertLine, Survey
from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation
from app.composition import Services


def register(cli: typer.Typer) -> None:
    @cli.command()
    def experts(
        context: typer.Context,
        ask: Annotated[bool, typer.Option("--try", help="Ask each for a word, and measure it.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List the language models that can be asked, what they are good at and how they do."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def survey(services: Services) -> Survey:
            if ask:
                await services.experts.try_all()
            return await services.experts.survey()

        found = with_services(called, survey)
        for problem in found.problems:
            printer.note(problem)
        columns = ["name", "from", "topics", "state", "answers", "to the first word", "address"]
        rows = (_row(one) for one in found.experts)
        printer.listing(found, columns, rows, empty="There are none; the sentence grammar does the work.")


def _row(one: ExpertLine) -> list[object]:
    answered = f"{one.calls - one.failures} of {one.calls}" if one.calls else "–"
    latency = "–" if one.latency_ms is None else f"{one.latency_ms} ms"
    return [one.name, one.source, ", ".join(one.topics) or "any", one.state, answered, latency, one.address]
