"""`soundstage logs`: log lines of the servers, by trace id."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import second


def register(cli: typer.Typer) -> None:
    @cli.command()
    def logs(
        trace: Annotated[
            str | None, typer.Option(metavar="ID", help="Show the lines of this trace (32 hex digits) alone.")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=2000, help="Show so many lines, the newest.")] = 200,
        journal: Annotated[
            Path | None,
            typer.Option(
                exists=True,
                file_okay=False,
                help="Read this folder of journals, on the machine that collects them, and ask no server.",
            ),
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Show what the servers have logged."""
        from soundstage.errors import Invalid

        if trace is not None and (len(trace) != 32 or set(trace) - set("0123456789abcdef")):
            raise Invalid(
                "trace.id_invalid",
                f"{trace!r} is no trace id.",
                "It has 32 hex digits; `soundstage trace ID` finds that of a render or session.",
            )
        if journal is not None:
            lines = _of_journal(journal, trace, limit)
        else:
            lines = call_studio(lambda api: api.get("/api/logs", trace=trace, limit=limit))
        sentence = "\n".join(map(text_of, lines)) or "There are no such lines."
        output(as_json).answer(lines, sentence)


def _of_journal(folder: Path, trace: str | None, limit: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from soundstage.telemetry.log_files import read_journal

    return [{**asdict(line), "at": line.at.isoformat()} for line in read_journal(folder, trace, limit)]


def text_of(line: dict[str, Any]) -> str:
    """Returns a line for people: when, where, how grave, what."""
    where = "/".join(part for part in (line["host"], line["service"]) if part)
    more = " ".join(f"{name}={value}" for name, value in line["fields"].items() if "\n" not in str(value))
    text = f"{second(line['at'])}  {where:<12} {line['level']:<8} {line['message']}"
    return f"{text}  {more}" if more else text
