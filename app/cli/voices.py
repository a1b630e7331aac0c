"""`soundstage voices add | list | remove`: cloned voices, each with a consent on record in the studio."""

from __future__ import annotations

import json
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from avatar.spec import Consent

from app.cli.opening import with_services
from app.cli.printing import Printer
from app.cli.state import Invocation, JsonFlag, invocation
from app.composition import Services
from app.worker_command import run_worker
from soundstage.database import utcnow
from soundstage.errors import Unavailable
from studio.consents.schemas import ConsentDraft, ConsentView


def register(cli: typer.Typer) -> None:
    voices = typer.Typer(
        no_args_is_help=True, help="Cloned voices of a speech service, each with its speaker's consent."
    )
    cli.add_typer(voices, name="voices")

    @voices.command()
    def add(
        context: typer.Context,
        sample: Annotated[Path, typer.Argument(help="A recording of the person.", exists=True)],
        name: Annotated[str, typer.Option(help="Of the voice.")],
        service: Annotated[str, typer.Option(help="Address of a server with /v1/audio/voices.")],
        said: Annotated[str, typer.Option(help="The words of the sample.")],
        person: Annotated[str, typer.Option(help="Whose voice it is; they must have agreed.")],
        purpose: Annotated[str, typer.Option(help="What they agreed to.")],
        granted_at: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day they did; default today.")
        ] = None,
        key_env: Annotated[
            str | None, typer.Option(help="The variable that holds the key of the service.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Record the consent, then upload the sample of a voice."""
        called = invocation(context)
        draft = ConsentDraft(person=person, purpose=purpose, granted_at=granted_at or utcnow())
        recorded = with_services(called, lambda services: services.studio.consents.record(draft))
        with tempfile.TemporaryDirectory() as folder:
            consent = Path(folder) / "consent.json"
            consent.write_text(_consent(recorded).model_dump_json(), encoding="utf-8")
            options = [f"--name={name}", f"--service={service}", f"--said={said}", f"--consent={consent}"]
            options += [f"--key-env={key_env}"] if key_env else []
            try:
                found = _worker(called, as_json, "add", *options, "--", str(sample.absolute()))
            except BaseException:
                # No voice came of it: nothing may be made with this consent either.
                with_services(called, lambda services: services.studio.consents.revoke(recorded.id))
                raise
        _tell(called.printer(as_json), found)

    @voices.command("list")
    def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List the cloned voices and who agreed."""
        called = invocation(context)
        _tell(called.printer(as_json), _worker(called, as_json, "list"))

    @voices.command()
    def remove(context: typer.Context, name: str, as_json: JsonFlag = False) -> None:
        """Delete a voice at its service and its sample here, and end its consent."""
        called = invocation(context)
        found = _worker(called, as_json, "remove", "--", name)
        ended = {voice["consent"]["id"] for voice in found}

        async def revoke(services: Services) -> None:
            for one in await services.studio.consents.list():
                if one.id in ended:
                    await services.studio.consents.revoke(one.id)

        with_services(called, revoke)
        _tell(called.printer(as_json), found)


def _consent(recorded: ConsentView) -> Consent:
    return Consent(
        id=recorded.id,
        person=recorded.person,
        granted_at=recorded.granted_at.isoformat(),
        purpose=recorded.purpose,
    )


def _worker(called: Invocation, as_json: bool, action: str, *arguments: str) -> list[dict[str, Any]]:
    """What the worker answers; its refusal is ours."""
    done = run_worker(called.settings(), "voices", action, "--json", *arguments, output=subprocess.PIPE)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Unavailable(
            "voice.no_answer", f"The worker ended with status {done.returncode}.", "Look at what it printed."
        ) from error
    if isinstance(answer, list):
        return answer
    called.printer(as_json).failure(answer["code"], answer["message"], answer["hint"])
    raise typer.Exit(done.returncode)


def _tell(printer: Printer, found: list[dict[str, Any]]) -> None:
    rows = []
    for one in found:
        agreed = one["consent"]
        rows.append([one["name"], one["voice_id"], one["base_url"], agreed["person"], agreed["granted_at"]])
    columns = ["name", "voice", "service", "person", "agreed"]
    printer.listing(found, columns, rows, empty="There are no cloned voices.")
