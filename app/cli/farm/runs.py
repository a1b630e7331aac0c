"""`soundstage runs`: runs of Ansible, followed live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.farm.machine_calls import call_machines, no_path, take_authority
from app.cli.printing import Printer
from app.cli.state import JsonFlag, output
from app.cli.times import second

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

RunId = Annotated[str, typer.Argument(help="A run: its id.", callback=no_path)]

MARKS = {"run.ok": "ok", "run.failed": "FAILED", "run.unreachable": "UNREACHABLE", "run.retry": "again"}


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "runs")
    take_authority(group)
    _looking(group)
    _doing(group)


def _looking(group: typer.Typer) -> None:
    @group.command("list")
    def list_runs(as_json: JsonFlag = False) -> None:
        """List the last runs, the newest first."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get("/api/runs"))
        rows = (
            [
                one["id"],
                one["state"],
                second(one["created_at"]),
                ", ".join(m["name"] for m in one["machines"]),
                one["cause"],
            ]
            for one in found
        )
        printer.listing(
            found, ["id", "state", "asked for", "machines", "cause"], rows, empty="There are no runs yet."
        )

    @group.command()
    def show(run_id: RunId, as_json: JsonFlag = False) -> None:
        """Show a run with all that it said; one that still runs is followed to its end."""
        printer = output(as_json)
        _end(call_machines(lambda api: _followed(api, run_id, printer)), printer)

    @group.command()
    def failures(
        all_of_them: Annotated[
            bool, typer.Option("--all", help="Those that were solved since, too.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """List what failed on which machine, why, and what to do."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get("/api/failures", solved=None if all_of_them else False))
        rows = ([one["name"], one["task"], one["cause"].splitlines()[0][:100], one["hint"]] for one in found)
        printer.listing(found, ["machine", "task", "cause", "what to do"], rows, empty="Nothing is open.")


def _doing(group: typer.Typer) -> None:
    @group.command()
    def start(
        machines: Annotated[list[str], typer.Argument(help="Machines, by name.")],
        playbook: Annotated[str | None, typer.Option(help="Below the folder of the playbooks.")] = None,
        tag: Annotated[list[str] | None, typer.Option(help="Only tasks with this tag; repeatable.")] = None,
        check: Annotated[
            bool, typer.Option("--check", help="Say what would change, and change nothing.")
        ] = False,
        detach: Annotated[bool, typer.Option("--detach", help="Do not wait for its end.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Run a playbook on machines, and follow it."""
        printer = output(as_json)
        body = {"machines": machines, "playbook": playbook, "tags": tag or [], "check": check}

        async def work(api: MachinesApi) -> Any:
            created = await api.post("/api/runs", body)
            return created if detach else await _followed(api, created["id"], printer)

        found = call_machines(work)
        if detach:
            printer.answer(found, found["id"])
        else:
            _end(found, printer)

    @group.command()
    def cancel(run_id: RunId, as_json: JsonFlag = False) -> None:
        """Stop a run with all its processes."""
        found = call_machines(lambda api: api.post(f"/api/runs/{run_id}/cancel"))
        output(as_json).answer(found, f"{found['id']} is being cancelled.")

    @group.command()
    def retry(run_id: RunId, as_json: JsonFlag = False) -> None:
        """Run it again on the machines that did not come through, and follow it."""
        printer = output(as_json)

        async def work(api: MachinesApi) -> Any:
            created = await api.post(f"/api/runs/{run_id}/retry")
            return await _followed(api, created["id"], printer)

        _end(call_machines(work), printer)


async def _followed(api: MachinesApi, run_id: str, printer: Printer) -> Any:
    """Prints its events as they come; gives the run as it ended."""
    await api.get(f"/api/runs/{run_id}")
    async for event in api.events(f"/api/runs/{run_id}/events"):
        if printer.as_json:
            printer.value(event)
        elif line := _line(event):
            printer.line(line)
    return await api.get(f"/api/runs/{run_id}")


def _line(event: dict[str, Any]) -> str:
    data = event["data"]
    match event["kind"]:
        case "run.queued":
            return f"queued     {', '.join(data['machines'])}  {data['playbook']}"
        case "run.task":
            return f"task       {data.get('task', '')}"
        case "run.play":
            return f"play       {data.get('play', '')}"
        case "run.ok" | "run.failed" | "run.unreachable" | "run.retry" as kind:
            mark = "changed" if data.get("changed") else MARKS[kind]
            seconds = f"{data['seconds']:.1f} s" if data.get("seconds") is not None else ""
            message = f"  {data['message'].splitlines()[0]}" if data.get("message") else ""
            return f"  {mark:<12} {data.get('host', '')}  {seconds}{message}"
        case "run.warning" | "run.error" | "run.output":
            return str(data.get("output", ""))
        case "run.ended":
            return f"{data['state']:<10} {data['cause']}".rstrip() + (
                f"\n           {data['hint']}" if data["hint"] else ""
            )
        case _:
            return ""


def _end(found: Any, printer: Printer) -> None:
    if printer.as_json:
        printer.value(found)
    if found["state"] != "succeeded":
        raise typer.Exit(1)
