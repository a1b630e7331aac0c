"""`soundstage audit` and `soundstage trace`: the chain of what was said, decided and made."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation
from policy.audit import AuditLineOut

QUIET = frozenset({"tool", "principal", "revision"})


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Read and check the audit log.", no_args_is_help=True)
    cli.add_typer(group, name="audit")

    @group.command("list")
    def list_lines(
        context: typer.Context,
        after: Annotated[int, typer.Option(min=0, help="The number of the last line seen.")] = 0,
        limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
        as_json: JsonFlag = False,
    ) -> None:
        """List lines, the oldest first."""
        called = invocation(context)
        found = with_services(called, lambda services: services.audit.read(after, limit))
        rows = ([line.number, line.at, line.kind, line.actor, line.subject, line.trace_id] for line in found)
        columns = ["number", "at", "kind", "who", "about", "trace"]
        called.printer(as_json).listing(found, columns, rows, empty="The audit log is empty.")

    @group.command()
    def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
        """Check that no line was changed, removed or put in; ends with 1 when one was."""
        called = invocation(context)
        verdict = with_services(called, lambda services: services.audit.verify())
        good = f"All {verdict.lines} lines are as they were written."
        bad = f"The audit log is broken at line {verdict.broken_at}: {verdict.reason}."
        called.printer(as_json).answer(verdict, good if verdict.broken_at is None else bad)
        if verdict.broken_at is not None:
            raise typer.Exit(1)

    @cli.command()
    def trace(
        context: typer.Context,
        wanted: Annotated[str, typer.Argument(metavar="ID", help="Of a trace, session, render or approval.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Tell one story: from the sentence to what came of it."""
        called = invocation(context)
        story = with_services(called, lambda services: services.audit.story(wanted))
        called.printer(as_json).answer(story, "\n".join(told(line) for line in story.lines))


def told(line: AuditLineOut) -> str:
    """One line for people: when, what, who, and what there is to know."""
    more = ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in line.data.items()
        if name not in QUIET and value not in (None, "", [], {}, 0)
    )
    return f"{line.at:%Y-%m-%d %H:%M:%S}  {line.kind:<18} {line.actor}: {line.subject}" + (
        f"\n    {more}" if more else ""
    )
