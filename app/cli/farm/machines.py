"""`soundstage machines`: who is there, who may join, and where the time went."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.farm import machine_announcements, machine_healing, machine_power
from app.cli.farm.machine_calls import Name, call_machines, no_path, take_authority
from app.cli.state import JsonFlag, output
from app.cli.times import minute, second
from soundstage.errors import Invalid

if TYPE_CHECKING:
    from app.machines_api import MachinesApi


def no_path_or_none(text: str | None) -> str | None:
    return None if text is None else no_path(text)


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "machines")
    take_authority(group)
    _looking(group)
    _joining(group)
    machine_announcements.register(group)
    _working(group)
    machine_power.register(group)
    machine_healing.register(group)
    _leaving(group)
    _authority(group)


def _looking(group: typer.Typer) -> None:
    @group.command("list")
    def list_machines(
        state: Annotated[list[str] | None, typer.Option(help="Only these states; repeatable.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """List the machines."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get("/api/machines", state=state or None))
        rows = (
            [one["name"], one["state"], one["pool"], one["address"], one["code"], _remark(one)]
            for one in found
        )
        columns = ["name", "state", "pool", "address", "code on its console", "remark"]
        printer.listing(found, columns, rows, empty="There are no machines yet.")

    @group.command()
    def show(name: Name, as_json: JsonFlag = False) -> None:
        """Show one machine: what it is made of, and what comes next."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get(f"/api/machines/{name}"))
        if printer.as_json:
            printer.value(found)
            return
        for key in (
            "name",
            "id",
            "state",
            "cause",
            "hint",
            "next",
            "pool",
            "tags",
            "macs",
            "uuid",
            "address",
        ):
            if found[key]:
                value = ", ".join(found[key]) if isinstance(found[key], list) else found[key]
                printer.line(f"{key:<8} {value}")
        if found["code"]:
            since = f" since {minute(found['code_since'])}" if found["code_since"] else ""
            printer.line(f"code     {found['code']}, from {found['code_source'] or 'nowhere'}{since}")
        for key in found["conflicts"]:
            printer.line(
                f"CONFLICT {_other_key(key)}, {key['reports']} reports, last {minute(key['last_at'])}"
            )
        for kind, parts in (found["hardware"] or {}).items():
            if parts:
                shown = parts if isinstance(parts, str | int) else json.dumps(parts)
                printer.line(f"  {kind:<12} {shown}")

    @group.command()
    def timeline(name: Name, as_json: JsonFlag = False) -> None:
        """Show where the time went from power-on to ready; a star marks what was waited for."""
        printer = output(as_json)
        found = call_machines(lambda api: api.get(f"/api/machines/{name}/timeline"))
        begin = min((one["started_at"] for one in found["spans"]), default=None)
        rows = (
            [
                "*" if one["critical"] else "",
                _since(one["started_at"], begin),
                f"{one['seconds']:.1f}",
                one["name"],
            ]
            for one in found["spans"]
        )
        columns = ["", "at s", "took s", "what"]
        printer.listing(found, columns, rows, empty="Nothing is known of it yet.")
        printer.line(f"{found['seconds']:.1f} s, of which {found['critical_seconds']:.1f} s were waited for.")


def _joining(group: typer.Typer) -> None:
    @group.command()
    def accept(
        name: Name,
        code: Annotated[
            str | None, typer.Option(help="The code on its console, as `list` shows it for the same machine.")
        ] = None,
        as_name: Annotated[str | None, typer.Option("--name", help="What it is called from now on.")] = None,
        pool: Annotated[str | None, typer.Option(help="The pool that it belongs to.")] = None,
        tag: Annotated[list[str] | None, typer.Option(help="A tag; repeatable.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Let a machine join: its disk may be written once, and it may enrol within fifteen minutes."""
        options = (("code", code), ("name", as_name), ("pool", pool), ("tags", tag))
        body = {key: value for key, value in options if value}
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/accept", body))
        output(as_json).answer(found, f"{found['name']} is accepted. {found['next']}")

    @group.command("key")
    def choose_key(
        name: Name,
        code: Annotated[str, typer.Option(help="The code on its console.")],
        as_json: JsonFlag = False,
    ) -> None:
        """End a conflict: of the keys that report as this machine, the one with this code counts."""
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/key", {"code": code}))
        output(as_json).answer(found, f"The key {found['code']} counts for {found['name']}.")

    @group.command()
    def reject(name: Name, as_json: JsonFlag = False) -> None:
        """Say no to a machine, or take a yes back."""
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/reject"))
        output(as_json).answer(found, f"{found['name']} is {found['state']}.")

    @group.command()
    def arm(
        name: Name,
        next_one: Annotated[bool, typer.Option("--next", help="For the next ramdisk that claims.")] = False,
        token: Annotated[bool, typer.Option("--token", help="Print the token, to carry it there.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Open the window of one enrolment again, for fifteen minutes."""
        body = {"bind": "next" if next_one else "reported", "deliver": "operator" if token else "ramdisk"}
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/enrolments", body))
        output(as_json).answer(
            found,
            found["token"] or f"Armed until {minute(found['expires_at'])} UTC.",
        )

    @group.command()
    def pin(
        name: Name,
        fingerprint: Annotated[
            str | None, typer.Option(help="SHA256:…, as `ssh-keygen -l` prints it.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Know an accepted machine by its SSH host key, without enrolment."""
        body = {"fingerprint": fingerprint} if fingerprint else {}
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/pin", body))
        output(as_json).answer(found, f"{found['name']} is {found['state']}.")

    @group.command("set")
    def change(
        name: Name,
        address: Annotated[str | None, typer.Option(help="Its IP address.")] = None,
        ssh_port: Annotated[int | None, typer.Option(help="The port of its sshd.")] = None,
        pool: Annotated[str | None, typer.Option(help="The pool that it belongs to.")] = None,
        tag: Annotated[list[str] | None, typer.Option(help="All its tags; repeatable.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Change address, pool or tags."""
        options = (("address", address), ("ssh_port", ssh_port), ("pool", pool), ("tags", tag))
        body = {key: value for key, value in options if value is not None}
        found = call_machines(lambda api: api.patch(f"/api/machines/{name}", body))
        output(as_json).answer(found, f"{found['name']} is changed.")

    @group.command()
    def rules(
        enable: Annotated[
            str | None, typer.Option(help="Switch this rule on.", callback=no_path_or_none)
        ] = None,
        disable: Annotated[
            str | None, typer.Option(help="Switch this rule off.", callback=no_path_or_none)
        ] = None,
        network: Annotated[list[str] | None, typer.Option(help="With --enable: where it holds.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """List the rules that act on discovered machines, or switch one on or off."""
        printer = output(as_json)

        async def work(api: MachinesApi) -> Any:
            if enable:
                change: dict[str, Any] = {"enabled": True}
                if network:
                    known: list[dict[str, Any]] = await api.get("/api/rules")
                    rule = next((one for one in known if one["name"] == enable), {})
                    change["when"] = {**rule.get("when", {}), "networks": network}
                await api.patch(f"/api/rules/{enable}", change)
            if disable:
                await api.patch(f"/api/rules/{disable}", {"enabled": False})
            return await api.get("/api/rules")

        found = call_machines(work)
        rows = (
            [
                one["name"],
                "on" if one["enabled"] else "off",
                ", ".join(one["when"]["networks"] or ()),
                one["refused"] or one["sentence"],
            ]
            for one in found
        )
        columns = ["rule", "", "networks", "what it does"]
        printer.listing(found, columns, rows, empty="There are no rules.")


def _working(group: typer.Typer) -> None:
    @group.command("run")
    def run_command(
        name: Name,
        words: Annotated[list[str], typer.Argument(help="An allowed command, after `--`.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Run an allowed command on a machine, as in `soundstage machines run node1 -- df -h`."""
        printer = output(as_json)
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/commands", {"argv": words}))
        printer.answer(found, found["output"].rstrip())
        if found["exit_code"] != 0:
            raise typer.Exit(1)

    @group.command()
    def commands(as_json: JsonFlag = False) -> None:
        """List the commands that may be run on machines."""
        found = call_machines(lambda api: api.get("/api/commands"))
        rows = ([" ".join(one["argv"]), one["sentence"]] for one in found)
        output(as_json).listing(found, ["command", "what it tells"], rows, empty="None.")

    @group.command()
    def inventory(as_json: JsonFlag = False) -> None:
        """Print the inventory of the members, as `ansible-inventory --list` does."""
        output(as_json).value(call_machines(lambda api: api.get("/api/inventory")))


def _leaving(group: typer.Typer) -> None:
    @group.command()
    def retire(
        name: Name,
        confirm: Annotated[
            str, typer.Option(help="The machine's name again; without it only the plan is shown.")
        ] = "",
        keep_disks: Annotated[bool, typer.Option("--keep-disks", help="Do not wipe.")] = False,
        no_drain: Annotated[
            bool, typer.Option("--no-drain", help="Revoke at once, without asking Nomad: it may be away.")
        ] = False,
        reason: Annotated[str, typer.Option(help="Why; it stands in the audit record.")] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Take a machine out of service: drain, revoke, wipe. Shows the plan until the name is typed
        again.
        """
        printer = output(as_json)

        async def work(api: MachinesApi) -> Any:
            how = {"wipe": not keep_disks, "drain": not no_drain}
            plan = await api.get(f"/api/machines/{name}/retire", **how)
            if not confirm:
                return plan
            body = {"confirm": confirm, **how, "reason": reason, "plan": plan["digest"]}
            return await api.post(f"/api/machines/{name}/retire", body)

        found = call_machines(work)
        if printer.as_json:
            printer.value(found)
        elif confirm:
            printer.line(f"{found['name']} is {found['state']}. {found['next']}")
        else:
            for step in found["steps"]:
                printer.line(f"- {step}")
            printer.line(
                f"Nothing was done. Do it: soundstage machines retire {name} --confirm {found['name']}"
            )


def _authority(group: typer.Typer) -> None:
    @group.command()
    def ca(as_json: JsonFlag = False) -> None:
        """Print the authority that the https port of the provisioning API is trusted by."""
        pem = call_machines(lambda api: api.text("/api/ca.pem"))
        output(as_json).answer({"ca_pem": pem}, pem.strip())

    @group.command()
    def publish(as_json: JsonFlag = False) -> None:
        """Sign what lies in the folder of the artefacts: machines boot and are written with this from now
        on.
        """
        found = call_machines(lambda api: api.post("/api/artefacts/publish"))
        names = ", ".join(one["name"] for one in found["artefacts"]) or "nothing"
        output(as_json).answer(found, f"Published: {names}.")

    @group.command()
    def audit(
        after: Annotated[int, typer.Option(help="Only records after this number.")] = 0,
        write: Annotated[Path | None, typer.Option(help="Write them to this file as JSON lines.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Show who decided what, and whether the record is unbroken."""
        printer = output(as_json)

        async def work(api: MachinesApi) -> tuple[Any, list[Any]]:
            verdict, records = await api.get("/api/audit/verdict"), list[Any]()
            last = after
            while page := await api.get("/api/audit", after=last, limit=1000):
                records += page
                last = page[-1]["number"]
            return verdict, records

        verdict, records = call_machines(work)
        if write is not None:
            _written(write, records)
        rows = (
            [one["number"], second(one["at"]), one["actor"], one["action"], one["subject"]] for one in records
        )
        printer.listing(
            {"verdict": verdict, "records": records},
            ["", "when", "who", "what", "about"],
            rows,
            empty="Nothing was decided yet.",
        )
        broken = verdict["broken_at"]
        printer.line(
            "Unbroken." if broken is None else f"BROKEN at record {broken}: it was changed afterwards."
        )


def _remark(machine: dict[str, Any]) -> str:
    others = [_other_key(key) for key in machine["conflicts"]]
    return "; ".join(filter(None, [*others, machine["cause"] or machine["hint"]]))


def _other_key(key: dict[str, Any]) -> str:
    """`reports with another key (2c91-a110-1679) since 2026-11-21 14:02, from another address (10.0.0.9)`."""
    place = "the same" if key["same_source"] else "another"
    since = f"since {minute(key['since'])}"
    return f"reports with another key ({key['code']}) {since}, from {place} address ({key['source']})"


def _written(path: Path, records: list[Any]) -> None:
    try:
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    except OSError as error:
        raise Invalid(
            "machines.cannot_write", f"{path} cannot be written: {error.strerror}.", "Choose another."
        ) from error


def _since(moment: str, begin: str | None) -> str:
    if begin is None:
        return ""
    return f"{(datetime.fromisoformat(moment) - datetime.fromisoformat(begin)).total_seconds():.1f}"
