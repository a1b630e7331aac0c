"""`soundstage personas`: who can speak, and presenters made from a photo or a VRM avatar."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.words import segment
from soundstage.errors import NotFound, SoundstageError

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi


PERSONAS = "/api/personas"

ERASED = {
    "personas": "persona",
    "consents": "consent",
    "voices": "voice",
    "assets": "file",
    "renders": "video",
    "versions": "version",
    "out_files": "file",
}
"""The lists of an erasure plan that mean something to people, and what one thing in them is."""


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "personas")

    @group.command("list")
    def list_personas(as_json: JsonFlag = False) -> None:
        """List all personas, with what is wrong with a broken file."""
        printer = output(as_json)
        entries = call_studio(lambda api: api.get(PERSONAS))
        rows = (
            [
                one["id"],
                one["persona"]["name"] if one["persona"] else "–",
                one["origin"],
                one["error"] or ("talk only" if _is_avatar(one["persona"]) else "ok"),
            ]
            for one in entries
        )
        printer.listing(entries, ["id", "name", "origin", "state"], rows, empty="There are no personas.")

    @group.command()
    def check(
        files: Annotated[
            list[Path] | None, typer.Argument(help="Persona files; all that are installed when left out.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Say what is wrong with persona files, with line and column. The exit code is 1 when anything is."""
        printer = output(as_json)
        found = [_checked(file) for file in files] if files else call_studio(_installed)
        if printer.as_json:
            printer.value(found)
        for one in found:
            for sentence in _sentences(one):
                printer.line(sentence)
        if any(one["faults"] for one in found):
            raise typer.Exit(1)

    @group.command()
    def health(persona_id: str, as_json: JsonFlag = False) -> None:
        """Say whether a persona could speak now: its file, media, consent and voice."""
        printer = output(as_json)
        found = call_studio(lambda api: api.get(f"{_path(persona_id)}/health"))
        rows = (
            [one["name"], "ok" if one["ok"] else "not", one["message"], one["hint"]]
            for one in found["checks"]
        )
        printer.listing(found, ["what", "state", "found", "what to do"], rows, empty="Nothing was checked.")
        if not found["healthy"]:
            raise typer.Exit(1)

    @group.command()
    def schema(as_json: JsonFlag = False) -> None:
        """Print the JSON Schema of persona files, for editors."""
        from studio.personas.file_schema import persona_schema

        output(as_json).value(persona_schema())

    @group.command()
    def create(
        name: Annotated[str, typer.Argument(help="What the persona is called.")],
        photo: Annotated[Path, typer.Argument(help="A portrait, or a VRM avatar (.vrm).")],
        person: Annotated[
            str | None,
            typer.Option(help="Whose face it is; they must have agreed. An avatar may be nobody's."),
        ] = None,
        purpose: Annotated[str | None, typer.Option(help="What they agreed to.")] = None,
        granted: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When they agreed; default today.")
        ] = None,
        licence_confirmed: Annotated[
            bool,
            typer.Option(
                "--licence-confirmed", help="You are the author of the avatar, or have a licence to use it."
            ),
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Make a persona from a portrait photo and the recorded consent of the person shown, or from a VRM
        avatar.
        """
        printer = output(as_json)
        draft: dict[str, Any] = {"name": name, "licence_confirmed": licence_confirmed}
        if person is not None or purpose is not None:
            granted_at = (granted or datetime.now(UTC)).date().isoformat()
            draft["consent"] = {"person": person or "", "purpose": purpose or "", "granted_at": granted_at}

        photo = photo.expanduser()
        if not photo.is_file():
            raise NotFound("photo.not_found", f"There is no file {str(photo)!r}.", "Check the path.")

        async def create_it(api: StudioApi) -> dict[str, Any]:
            await api.start_making()
            return await _create(api, photo, draft)

        created = call_studio(create_it)
        sentence = f"{created['name']} can speak now. Say “Make a video where {created['call']} says: Hello”."
        if created["licence"] is not None:
            sentence = f"{created['name']} can speak now, in conversations: {_licence(created['licence'])}"
        printer.answer(created, "\n".join([sentence, *(f"Note: {one}" for one in created["warnings"])]))

    @group.command()
    def edit(
        persona_id: str,
        name: Annotated[str | None, typer.Option(help="What the persona is called.")] = None,
        title: Annotated[str | None, typer.Option(help="A line below the name.")] = None,
        description: Annotated[str | None, typer.Option(help="Who it is.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Change the words of a persona of yours. Voice and style stand in its file."""
        printer = output(as_json)
        fields = {"name": name, "title": title, "description": description}
        change = {field: value for field, value in fields.items() if value is not None}
        persona = call_studio(lambda api: api.patch(_path(persona_id), change))
        names = ", ".join(change) or "nothing"
        printer.answer(persona, f"{persona['name']} ({persona['id']}): changed {names}.")

    @group.command()
    def delete(
        persona_id: str,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Remove a persona with the face, the voice and every file made of them."""
        printer = output(as_json)

        async def erase(api: StudioApi) -> Any:
            await api.start_making()
            return await api.delete(_path(persona_id), dry_run=dry_run)

        plan = call_studio(erase)
        ended = "would go" if dry_run else "is gone"
        printer.answer(plan, f"{persona_id} {ended}, with all that was made of it.")
        for kind, what in ERASED.items():
            for one in plan[kind]:
                name = plan["names"].get(one)
                printer.line(f"  {what:<8} {f'“{name}” ({one})' if name else one}")


def _path(persona_id: str) -> str:
    return f"{PERSONAS}/{segment(persona_id)}"


async def _create(api: StudioApi, photo: Path, draft: dict[str, Any]) -> dict[str, Any]:
    # The server tells by the bytes what a file is; this says only which kind the person means.
    is_avatar = photo.suffix.lower() in (".vrm", ".glb")
    asset = await api.upload(photo, **({} if is_avatar else {"kind": "avatar_image"}))
    try:
        created = await api.post(PERSONAS, {**draft, "media": asset["id"]})
    except BaseException:
        with suppress(SoundstageError):
            await api.delete(f"/api/assets/{asset['id']}")
        raise
    persona = created["persona"]
    names = [one["persona"]["name"].casefold() for one in await api.get(PERSONAS) if one["persona"]]
    call = persona["name"] if names.count(persona["name"].casefold()) < 2 else persona["id"]
    known = {"persona_id": persona["id"], "name": persona["name"], "call": call}
    licence = persona["face"]["licence"] if _is_avatar(persona) else None
    return {**known, "licence": licence, "warnings": created["warnings"]}


def _is_avatar(persona: dict[str, Any] | None) -> bool:
    return persona is not None and persona["face"]["kind"] == "vrm"


def _licence(licence: dict[str, Any]) -> str:
    title = f"“{licence['title']}”" if licence["title"] else "an avatar without a title"
    by = f" by {', '.join(licence['authors'])}" if licence["authors"] else ""
    where = f", {licence['licence_url']}" if licence["licence_url"] else ""
    return f"{title}{by}, for {licence['avatar_permission']}, {licence['commercial_usage']}{where}."


async def _installed(api: StudioApi) -> list[dict[str, Any]]:
    return [{"file": one["file"], "faults": one["faults"]} for one in await api.get(PERSONAS)]


def _checked(file: Path) -> dict[str, Any]:
    """A file as it was given, and what is wrong with it."""
    from studio.personas.faults import BadPersonaFile
    from studio.personas.yaml_source import read_persona

    try:
        read_persona(file)
    except BadPersonaFile as error:
        return {"file": str(file), "faults": [fault.model_dump(mode="json") for fault in error.faults]}
    return {"file": str(file), "faults": []}


def _sentences(checked: dict[str, Any]) -> list[str]:
    from studio.personas.faults import Fault

    faults = [Fault.model_validate(fault).sentence(checked["file"]) for fault in checked["faults"]]
    return faults or [f"{checked['file']}: in order"]
