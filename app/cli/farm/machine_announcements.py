"""`soundstage machines announce`, `announced`, `unannounce`, `call-home-key`: machines that are expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from app.cli.farm.machine_calls import call_machines
from app.cli.farm.machine_power import secret_from
from app.cli.state import JsonFlag, output
from app.cli.times import minute

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

Serial = Annotated[str, typer.Argument(help="The serial number that its firmware tells.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `machines`."""

    @group.command()
    def announce(
        serial: Serial,
        secret_file: Annotated[
            Path | None,
            typer.Option(
                help="What its chassis asset tag is set to, or the BMC's password; asked for if left out."
            ),
        ] = None,
        bmc: Annotated[
            str | None,
            typer.Option(help="https address of its BMC, which gets a secret as asset tag over Redfish."),
        ] = None,
        user: Annotated[str, typer.Option(help="Of the BMC.")] = "",
        system: Annotated[
            str | None, typer.Option(help="Of the BMC's systems; the first if left out.")
        ] = None,
        certificate: Annotated[
            str | None, typer.Option(help="SHA-256 of the BMC's certificate, in hex.")
        ] = None,
        no_restart: Annotated[
            bool, typer.Option("--no-restart", help="With --bmc: do not start the machine from the network.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Expect a machine: by the rule `announced-machines` it joins once it proves the secret.

        With --bmc nobody has to set one: the BMC is told a secret that counts for two hours.
        """
        path, secret = "/api/announcements", secret_from(secret_file)
        body: dict[str, Any] = {"serial": serial, "secret": secret}
        if bmc is not None:
            access = {"url": bmc, "user": user, "password": secret}
            more = {"system": system, "certificate_sha256": certificate}
            access |= {name: value for name, value in more.items() if value is not None}
            path, body = f"{path}/bmc", {"serial": serial, "bmc": access, "restart": not no_restart}
        found = call_machines(lambda api: api.post(path, body))
        output(as_json).answer(found, f"A machine with the serial number {serial} is expected.")

    @group.command("call-home-key")
    def create_call_home_key(
        name: Annotated[str, typer.Option(help="What the key is for.")] = "call home",
        as_json: JsonFlag = False,
    ) -> None:
        """Make a key with which installed machines call home, and nothing else, and print it once."""
        body = {"name": name, "role": "operator", "scopes": ["machine:call_home"]}
        found = call_machines(lambda api: api.post("/api/keys", body))
        output(as_json).answer(found, found["key"])

    @group.command()
    def announced(as_json: JsonFlag = False) -> None:
        """List the machines that are expected, and those that have come."""
        found = call_machines(lambda api: api.get("/api/announcements"))
        rows = (
            [one["serial"], one["machine_id"] or "expected", one["announced_by"], minute(one["announced_at"])]
            for one in found
        )
        columns = ["serial number", "machine", "announced by", "at"]
        output(as_json).listing(found, columns, rows, empty="No machine is announced.")

    @group.command()
    def unannounce(serial: Serial, as_json: JsonFlag = False) -> None:
        """Expect a machine no more. One that has joined stays."""

        async def work(api: MachinesApi) -> Any:
            await api.delete(f"/api/announcements/{quote(serial, safe='')}")
            return {"serial": serial}

        output(as_json).answer(call_machines(work), f"{serial} is not expected any more.")
