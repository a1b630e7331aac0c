"""`soundstage machines power`, `power-setup` and `netboot`: how a machine is switched, and switching it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.farm.machine_calls import Name, call_machines
from app.cli.state import JsonFlag, output
from soundstage.errors import Invalid

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

LONGEST_SECRET = 200


def register(group: typer.Typer) -> None:
    """Adds to the group `machines`."""

    @group.command()
    def power(
        name: Name,
        action: Annotated[
            str, typer.Argument(help="state, on, off, cycle, boot_network, boot_disk.")
        ] = "state",
        as_json: JsonFlag = False,
    ) -> None:
        """Ask for a machine's power, or switch it."""

        async def work(api: MachinesApi) -> Any:
            if action == "state":
                return await api.get(f"/api/machines/{name}/power")
            return await api.post(f"/api/machines/{name}/power", {"action": action})

        found = call_machines(work)
        output(as_json).answer(found, found.get("state", "Done."))

    @group.command()
    def netboot(name: Name, as_json: JsonFlag = False) -> None:
        """Start a machine now, from the network. What it boots there is decided by its state."""
        found = call_machines(lambda api: api.post(f"/api/machines/{name}/netboot"))
        output(as_json).answer(found, f"{found['machine']} starts from the network.")

    @group.command("power-setup")
    def power_setup(
        name: Name,
        kind: Annotated[str, typer.Argument(help="wol, redfish, webhook, or none to take it away.")],
        url: Annotated[str | None, typer.Option(help="Of the BMC, or of your switch.")] = None,
        user: Annotated[str | None, typer.Option(help="Of the BMC.")] = None,
        secret_file: Annotated[
            Path | None,
            typer.Option(help="The password or secret; asked for if left out."),
        ] = None,
        certificate: Annotated[
            str | None, typer.Option(help="SHA-256 of the BMC's certificate, in hexadecimal.")
        ] = None,
        system: Annotated[str | None, typer.Option(help="Which system, if the BMC has several.")] = None,
        mac: Annotated[str | None, typer.Option(help="The network card to wake; all unless given.")] = None,
        broadcast: Annotated[str | None, typer.Option(help="Where the magic packet is sent.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Say how a machine is switched. Secrets come from a file or the prompt, and are kept sealed."""
        options = (
            ("url", url),
            ("user", user),
            ("certificate_sha256", certificate),
            ("system", system),
            ("mac", mac),
            ("broadcast", broadcast),
        )
        setup: dict[str, Any] | None = None
        if kind != "none":
            setup = {"kind": kind, **{key: value for key, value in options if value is not None}}
            if kind in ("redfish", "webhook"):
                setup["password" if kind == "redfish" else "secret"] = secret_from(secret_file)
        call_machines(lambda api: api.put(f"/api/machines/{name}/power", {"power": setup}))
        sentence = f"{name} is no longer switched." if setup is None else f"{name} is switched by {kind}."
        output(as_json).answer({"machine": name, "kind": kind}, sentence)


def secret_from(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password or secret", hide_input=True, err=True))
    try:
        with file.open() as source:
            return source.read(LONGEST_SECRET + 1).rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            "machines.cannot_read", f"{file} cannot be read: {error}.", "Choose another."
        ) from error
