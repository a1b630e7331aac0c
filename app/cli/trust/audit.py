"""`soundstage audit` and `soundstage trace`: the chain of what was said, decided and made, and the spans."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio, require_no_server
from app.cli.state import JsonFlag, invocation, output, run
from app.cli.times import second
from app.cli.words import segment

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi
    from policy.audit.schemas import AuditHead

QUIET = frozenset({"tool", "principal", "revision"})
FIELDS = ("number", "at", "kind", "actor", "subject", "trace_id")


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "audit")

    @group.command("list")
    def list_lines(
        after: Annotated[
            int | None, typer.Option(min=0, help="Show the lines after this number, the oldest first.")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
        kind: Annotated[str, typer.Option(help="The beginning of their kind, such as `tool.`.")] = "",
        who: Annotated[str, typer.Option(help="Only what this client did.")] = "",
        about: Annotated[str, typer.Option(help="An id: of what was changed, a session or a trace.")] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """List the last lines, the newest first."""
        printer = output(as_json)
        order = {"sort": "-number"} if after is None else {"after": after}
        criteria = {"kind": kind, "actor": who, "about": about}
        found, total = call_studio(lambda api: api.get_page("/api/audit", limit=limit, **order, **criteria))
        rows = ([second(line["at"]) if field == "at" else line[field] for field in FIELDS] for line in found)
        columns = ["number", "at", "kind", "who", "about", "trace"]
        printer.listing(found, columns, rows, empty="The audit log is empty.")
        if after is None and total is not None and total > len(found):
            more = "`--limit` shows up to 1000, `--after 0` begins with the oldest."
            printer.note(f"{total - len(found)} older lines: {more}")
        elif after is not None and len(found) == limit:
            printer.note(f"More may follow: `soundstage audit list --after {found[-1]['number']}`.")

    @group.command()
    def verify(
        head: Annotated[
            str | None, typer.Option(help="An end of the log kept elsewhere, as `audit head` printed it.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Check that no line was changed, removed or put in; ends with 1 when one was."""
        verdict = call_studio(lambda api: api.get("/api/audit/verdict", head=head))
        good = f"All {verdict['lines']} lines are as they were written."
        why = f"{verdict['reason']} ({verdict['code']})"
        bad = f"The audit log is broken at line {verdict['broken_at']}: {why}."
        output(as_json).answer(verdict, good if verdict["broken_at"] is None else bad)
        if verdict["broken_at"] is not None:
            raise typer.Exit(1)

    @group.command()
    def head(as_json: JsonFlag = False) -> None:
        """Print the end of the log, to be kept on another machine for `audit verify --head`."""
        found = call_studio(lambda api: api.get("/api/audit/head"))
        sentence = "The audit log is empty." if found is None else f"{found['number']}:{found['sha256']}"
        output(as_json).answer(found or {}, sentence)

    @group.command("accept-end")
    def accept_end(
        reason: Annotated[str, typer.Option(help="What you found out; it becomes a line of the log.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Go on from the log as it is, after you looked into what `verify` said. Stop the server first."""
        called = invocation()
        require_no_server(called.settings().state_dir, "audit accept-end")

        async def accept() -> AuditHead | None:
            from app.composition import open_services
            from policy.audit import AuditEntry

            async with open_services(called.settings()) as services:
                await services.audit.reset_head(
                    AuditEntry("audit.end_accepted", "cli", data={"reason": reason})
                )
                return await services.audit.head()

        found = run(accept())
        output(as_json).answer(found or {}, "The log goes on from here; changed lines stay reported.")

    @cli.command()
    def trace(
        subject: Annotated[
            str, typer.Argument(metavar="ID", help="Of a trace, session, render or approval.")
        ],
        as_json: JsonFlag = False,
    ) -> None:
        """Show what a request led to: its audit lines, and its steps with their times."""
        from app.cli.trust.waterfall import waterfall

        record, steps = call_studio(lambda api: _read_trace(api, subject))
        text = "\n".join(sentence_of(line) for line in record["lines"])
        if steps is not None:
            text = f"{text}\n\n{waterfall(steps)}".strip()
        output(as_json).answer({**record, "spans": None if steps is None else steps["spans"]}, text)


async def _read_trace(api: StudioApi, subject: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Returns the audit trail and the spans of an id. Raises what the server says where it has neither, or
    shows neither to this key.
    """
    from soundstage.errors import SoundstageError

    path = f"/api/traces/{segment(subject)}"
    record: dict[str, Any] = {"id": subject, "lines": []}
    refusal: SoundstageError | None = None
    try:
        record = await api.get(path)
    except SoundstageError as error:
        if error.status not in (403, 404):
            raise
        refusal = error
    traces = [line["trace_id"] for line in record["lines"] if line["trace_id"]]
    for one in dict.fromkeys([subject, *reversed(traces)]):
        try:
            return record, await api.get(f"/api/traces/{segment(one)}/spans")
        except SoundstageError as error:
            if error.status not in (403, 404):
                raise
    if refusal is not None:
        raise refusal
    return record, None


def sentence_of(line: dict[str, Any]) -> str:
    """One line for people: when, what, who, and what there is to know."""
    more = ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in line["data"].items()
        if name not in QUIET and value not in (None, "", [], {}, 0)
    )
    return f"{second(line['at'])}  {line['kind']:<18} {line['actor']}: {line['subject']}" + (
        f"\n    {more}" if more else ""
    )
