"""`soundstage personas`: who can speak, and people made from a photo."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError

from agent.tools import ToolContext
from agent.tools.personas import CreatePersona, create_persona
from app.cli.opening import with_services
from app.cli.state import JsonFlag, invocation, run
from app.composition import build, opened, working
from policy import Principal
from soundstage.errors import Invalid
from studio.personas.faults import BadPersonaFile, Fault
from studio.personas.file_schema import persona_schema
from studio.personas.schemas import PersonaChange
from studio.personas.yaml_source import read_persona


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="Who can speak.", no_args_is_help=True)
    cli.add_typer(group, name="personas")

    @group.command("list")
    def list_personas(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List all personas, with what is wrong with a broken file."""
        called = invocation(context)
        printer = called.printer(as_json)
        entries = build(called.settings()).studio.library.entries()
        rows = (
            [entry.id, entry.persona.name if entry.persona else "–", entry.origin, entry.error or "ok"]
            for entry in entries
        )
        printer.listing(entries, ["id", "name", "origin", "state"], rows, empty="There are no personas.")

    @group.command()
    def check(
        context: typer.Context,
        files: Annotated[
            list[Path] | None, typer.Argument(help="Persona files; all that are installed when left out.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Say what is wrong with persona files, with line and column. The exit code is 1 when anything is."""
        called = invocation(context)
        printer = called.printer(as_json)
        if files:
            found = [_checked(file) for file in files]
        else:
            entries = build(called.settings()).studio.library.entries()
            found = [CheckedFile(file=entry.file, faults=entry.faults) for entry in entries]
        if printer.as_json:
            printer.value(found)
        for one in found:
            for fault in one.faults:
                printer.line(fault.sentence(one.file))
            if not one.faults:
                printer.line(f"{one.file}: in order")
        if any(one.faults for one in found):
            raise typer.Exit(1)

    @group.command()
    def health(context: typer.Context, persona_id: str, as_json: JsonFlag = False) -> None:
        """Say whether a persona could speak now: its file, media, consent and voice."""
        called = invocation(context)
        printer = called.printer(as_json)
        found = with_services(called, lambda services: services.studio.persona_health.of(persona_id))
        rows = (
            [check.name, "ok" if check.ok else "not", check.message, check.hint] for check in found.checks
        )
        printer.listing(found, ["what", "state", "found", "what to do"], rows, empty="Nothing was checked.")
        if not found.healthy:
            raise typer.Exit(1)

    @group.command()
    def schema(context: typer.Context, as_json: JsonFlag = False) -> None:
        """Print the JSON Schema of persona files, for editors."""
        invocation(context).printer(as_json).value(persona_schema())

    @group.command()
    def create(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="What the persona is called.")],
        photo: Annotated[Path, typer.Argument(help="A portrait.")],
        person: Annotated[str, typer.Option(help="Whose face it is; they must have agreed.")],
        purpose: Annotated[str, typer.Option(help="What they agreed to.")],
        granted: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When they agreed; default today.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a persona from a portrait photo and the recorded consent of the person shown."""
        called = invocation(context)
        printer = called.printer(as_json)
        granted_at = granted.date() if granted else None
        request = CreatePersona(
            name=name, photo=str(photo), person=person, purpose=purpose, granted_at=granted_at
        )

        async def work() -> None:
            async with opened(called.settings()) as services, working(services):
                doors = services.doors
                tool_context = ToolContext(Principal.local_admin(), "cli", doors, local_files=True)
                made = await create_persona.run(tool_context, request)
            printer.answer(made, made.sentence())

        run(work())

    @group.command()
    def edit(
        context: typer.Context,
        persona_id: str,
        name: Annotated[str | None, typer.Option(help="What the persona is called.")] = None,
        title: Annotated[str | None, typer.Option(help="A line below the name.")] = None,
        description: Annotated[str | None, typer.Option(help="Who it is.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Change the words of a persona of yours. Voice and style stand in its file."""
        called = invocation(context)
        printer = called.printer(as_json)
        change = {"name": name, "title": title, "description": description}

        wanted = _change_of(change)
        persona = with_services(called, lambda services: services.studio.personas.update(persona_id, wanted))
        if printer.as_json:
            printer.value(persona)
        else:
            said = ", ".join(wanted.given()) or "nothing"
            printer.line(f"{persona.name} ({persona.id}): changed {said}.")

    @group.command()
    def delete(
        context: typer.Context,
        persona_id: str,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Remove a persona with the face, the voice and every file made of them."""
        called = invocation(context)
        printer = called.printer(as_json)

        async def work() -> None:
            async with opened(called.settings()) as services, working(services):
                plan = await services.studio.people.erase_persona(persona_id, dry_run=dry_run)
            printer.answer(
                plan, f"{persona_id} {'would go' if dry_run else 'is gone'}, with all that was made of it."
            )

        run(work())


class CheckedFile(BaseModel):
    """A file as it was given, and what is wrong with it."""

    file: str
    faults: tuple[Fault, ...] = ()


def _checked(file: Path) -> CheckedFile:
    try:
        read_persona(file)
    except BadPersonaFile as error:
        return CheckedFile(file=str(file), faults=error.faults)
    return CheckedFile(file=str(file))


def _change_of(fields: dict[str, str | None]) -> PersonaChange:
    try:
        return PersonaChange.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(
            "persona.bad_change", f"The {first['loc'][0]} cannot be used: {first['msg']}.", "Write another."
        ) from error
