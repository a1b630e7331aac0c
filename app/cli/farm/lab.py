"""`soundstage lab …`: real Debian machines on this computer, for trying a change before real machines see
it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from app.cli.commands import add_group
from app.cli.state import JsonFlag, Stopped, output

LabName = Annotated[str, typer.Option("--name", "-n", help="Which lab; several may be up at once.")]
Suite = Annotated[
    Literal["trixie", "bookworm"],
    typer.Option(help="The Debian of the machines: 13 (trixie) or 12 (bookworm)."),
]
MachineName = Annotated[str, typer.Argument(help="A machine of the lab.")]


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave through the doors: what is half made, or made for a moment, is taken down."""

    def stop(number: int, _: FrameType | None) -> None:
        # Once: who presses twice must not break the tidying.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        typer.echo("Interrupted: taking down what was made …", err=True)
        raise Stopped(128 + number)

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "lab")
    _register_life(group)
    _register_access(group)
    _register_bake(group)
    _register_faults(group)
    _register_drill(group)


def _register_life(group: typer.Typer) -> None:
    @group.command()
    def up(
        machines: Annotated[int, typer.Option(help="How many machines, called m1, m2 …")] = 3,
        hosts: Annotated[str, typer.Option(help="Their names instead, parted by commas.")] = "",
        gpus: Annotated[
            str,
            typer.Option(help="Cards of each, parted by commas: `0,1,2`, or kinds: `0,rtx-2080-super,2*l4`."),
        ] = "",
        memory_mib: Annotated[int, typer.Option(help="The most that one machine may use.")] = 4096,
        disk_gib: Annotated[int, typer.Option(help="The size of each machine's disk.")] = 20,
        layer: Annotated[
            list[str] | None, typer.Option(help="A baked layer to start from; may be given again.")
        ] = None,
        allow: Annotated[
            list[str] | None,
            typer.Option(help="A host that machines may reach by HTTPS, besides Debian's mirrors."),
        ] = None,
        cluster: Annotated[
            bool,
            typer.Option("--cluster", help="With a plain Nomad and Consul; the first machine is the server."),
        ] = False,
        own_engines: Annotated[
            bool,
            typer.Option("--own-engines", help="Playbooks install the Nomad and Consul of `make tools`."),
        ] = False,
        suite: Suite = "trixie",
        name: LabName = "lab",
        as_json: JsonFlag = False,
    ) -> None:
        """Make and boot machines. Ready when SSH answers on all, with --cluster when Nomad has all
        clients."""
        from lab.cards.catalogue import read_gpus
        from lab.farm_in_a_box import Lab
        from lab.plan import machines_named

        printer = output(as_json)
        names = hosts.split(",") if hosts else [f"m{number}" for number in range(1, machines + 1)]
        lab = Lab(name)
        cards = read_gpus(gpus) if gpus else None
        plans = machines_named(names, cards, memory_mib=memory_mib, disk_gib=disk_gib)
        start = lab.up_cluster if cluster else partial(lab.up, own_engines=own_engines)
        with interruptible():
            seconds = start(
                plans, layers=layer or (), allowed_hosts=allow or (), suite=suite, say=printer.line
            )
        if printer.as_json:
            printer.value(
                {
                    "name": name,
                    "machines": names,
                    "seconds": round(seconds, 2),
                    "inventory": str(lab.paths.inventory),
                }
            )
            return
        printer.line(f"{_ready(len(names), cluster)} after {seconds:.1f} s.")
        printer.line(f"Inventory: {lab.paths.inventory}   SSH key: {lab.paths.ssh_key}")
        chosen = "" if name == "lab" else f"--name {name} "
        printer.line(f"Try: soundstage lab ssh {chosen}{names[0]}")
        printer.line(f" or: soundstage lab exec {chosen}-- ansible all -m ping")

    @group.command()
    def down(name: LabName = "lab", as_json: JsonFlag = False) -> None:
        """Take a lab away, whole, however it was left."""
        from lab.farm_in_a_box import Lab

        printer = output(as_json)
        lab = Lab(name)
        was_there = lab.exists()
        lab.down()
        printer.answer(
            {"name": name, "was_there": was_there},
            f"The lab “{name}” is gone." if was_there else f"There was no lab “{name}”.",
        )

    @group.command()
    def status(name: LabName = "", as_json: JsonFlag = False) -> None:
        """Show all labs, or one, with their machines."""
        from lab.farm_in_a_box import Lab, all_labs

        printer = output(as_json)
        names = [name] if name else all_labs()
        found = {one: Lab(one).status() for one in names}
        printer.listing(
            {lab: [asdict(one) for one in machines] for lab, machines in found.items()},
            ["lab", "machine", "address", "cards", "power", "ssh", "boots", "faults"],
            [
                (
                    lab,
                    one.name,
                    one.address,
                    one.cards,
                    "on" if one.running else "off",
                    "yes" if one.ssh else "no",
                    one.boots,
                    ", ".join(one.faults),
                )
                for lab, machines in found.items()
                for one in machines
            ],
            empty="No lab is up.",
        )


def _ready(machines: int, cluster: bool) -> str:
    if machines == 1:
        return "1 machine forms a cluster" if cluster else "1 machine answers on SSH"
    return f"{machines} machines {'form a cluster' if cluster else 'answer on SSH'}"


def _register_bake(group: typer.Typer) -> None:
    @group.command("bake", context_settings={"ignore_unknown_options": True})
    def bake_(
        layer: Annotated[str, typer.Argument(help="The name of the layer.")],
        command: Annotated[
            list[str], typer.Argument(help="What installs it, e.g. ansible-playbook playbook.yaml.")
        ],
        on: Annotated[list[str] | None, typer.Option(help="A layer below it; may be given again.")] = None,
        group_: Annotated[
            list[str] | None,
            typer.Option("--group", help="An Ansible group of the machine `image`; may be given again."),
        ] = None,
        allow: Annotated[list[str] | None, typer.Option(help="A host that it may reach by HTTPS.")] = None,
        suite: Suite = "trixie",
        as_json: JsonFlag = False,
    ) -> None:
        """Run a command against one new machine, and keep what it changed for later labs."""
        from lab.bake import bake

        printer = output(as_json)
        with interruptible():
            cached = bake(
                layer,
                command,
                on=on or (),
                groups=group_ or (),
                allowed_hosts=allow or (),
                suite=suite,
                say=printer.line,
            )
        printer.answer(
            {"layer": layer, "kept_in": str(cached)},
            f"The layer “{layer}” is in {cached}. Use it: soundstage lab up --layer {layer}",
        )


def _register_access(group: typer.Typer) -> None:
    @group.command(context_settings={"ignore_unknown_options": True})
    def ssh(
        machine: MachineName,
        command: Annotated[
            list[str] | None, typer.Argument(help="What to run there; nothing opens a shell.")
        ] = None,
        name: LabName = "lab",
    ) -> None:
        """Enter a machine, or run a command there."""
        from lab.farm_in_a_box import Lab
        from lab.ssh_access import ssh_command

        lab = Lab(name)
        lab.plan.machine(machine)
        raise Stopped(subprocess.run(ssh_command(lab.paths, machine, command or [])).returncode)

    @group.command("exec", context_settings={"ignore_unknown_options": True})
    def exec_(
        command: Annotated[
            list[str], typer.Argument(help="A command of this computer, e.g. ansible-playbook.")
        ],
        name: LabName = "lab",
    ) -> None:
        """Run a command of this computer in the lab's network. Ansible finds the lab's inventory by
        itself."""
        from lab.farm_in_a_box import Lab

        raise Stopped(Lab(name).enter(command))

    @group.command()
    def reboot(machine: MachineName, name: LabName = "lab", as_json: JsonFlag = False) -> None:
        """Reboot a machine in good order, and wait until SSH answers."""
        from lab.farm_in_a_box import Lab

        printer = output(as_json)
        seconds = Lab(name).reboot(machine)
        printer.answer(
            {"machine": machine, "seconds": round(seconds, 2)},
            f"{machine} answers again after {seconds:.1f} s.",
        )


def _register_faults(group: typer.Typer) -> None:
    @group.command("break")
    def break_(
        machine: MachineName,
        fault: Annotated[str, typer.Argument(help="Which; `soundstage lab faults` lists them.")],
        name: LabName = "lab",
        as_json: JsonFlag = False,
    ) -> None:
        """Break a machine."""
        from lab.farm_in_a_box import Lab

        printer = output(as_json)
        done = Lab(name).inject_fault(machine, fault)
        printer.answer(
            {"machine": machine, "fault": done.name, "lasts": done.lasts}, f"{machine}: {done.what}."
        )

    @group.command("heal")
    def heal(
        machine: MachineName,
        fault: Annotated[str | None, typer.Argument(help="Which; nothing heals all.")] = None,
        name: LabName = "lab",
        as_json: JsonFlag = False,
    ) -> None:
        """Take faults away again."""
        from lab.farm_in_a_box import Lab

        printer = output(as_json)
        healed = Lab(name).clear_fault(machine, fault)
        printer.answer(
            {"machine": machine, "healed": healed},
            f"{machine}: healed {', '.join(healed)}." if healed else f"{machine}: nothing was broken.",
        )

    @group.command("faults")
    def faults(as_json: JsonFlag = False) -> None:
        """List what can be broken."""
        from lab.faults import FAULTS

        printer = output(as_json)
        printer.listing(
            [{"name": one.name, "what": one.what, "lasts": one.lasts} for one in FAULTS.values()],
            ["fault", "the machine …"],
            [(one.name, one.what if one.lasts else f"{one.what} (over at once)") for one in FAULTS.values()],
            empty="None.",
        )


def _register_drill(group: typer.Typer) -> None:
    @group.command("drill")
    def drill(
        inventory: Annotated[
            Path | None,
            typer.Option(help="Whose farm is copied: an Ansible inventory. Nothing: three machines."),
        ] = None,
        only: Annotated[
            list[str] | None, typer.Option(help="An exercise; may be given again. Nothing: all.")
        ] = None,
        name: LabName = "drill",
        as_json: JsonFlag = False,
    ) -> None:
        """Rehearse failures on a copy of your farm. Your machines are not touched, nor asked anything."""
        from lab.drill.farm_copy import copy_farm, smallest_farm
        from lab.drill.rehearse import rehearse, select_exercises
        from lab.farm_in_a_box import Lab

        printer = output(as_json)
        exercises = select_exercises(only or [])
        farm = copy_farm(inventory) if inventory else smallest_farm()
        if farm.left_out:
            printer.line(f"Left out, because the drill would learn nothing more: {', '.join(farm.left_out)}.")
        outcomes = []
        with interruptible(), closing(rehearse(Lab(name), farm, exercises, say=printer.line)) as rehearsal:
            for outcome in rehearsal:
                outcomes.append(outcome)
                printer.line(
                    f"{outcome.exercise}: {'passed' if outcome.passed else 'FAILED: ' + outcome.why}"
                )
        rows = [
            (
                one.exercise,
                one.machine,
                one.fault,
                one.expected,
                _seconds(one.noticed_s),
                _seconds(one.whole_s),
                "passed" if one.passed else "FAILED",
            )
            for one in outcomes
        ]
        printer.listing(
            [{**asdict(one), "passed": one.passed} for one in outcomes],
            ["exercise", "machine", "fault", "expected", "seen after", "whole again after", ""],
            rows,
            empty="No exercise fits this farm.",
        )
        if not all(one.passed for one in outcomes):
            raise Stopped(1)


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
