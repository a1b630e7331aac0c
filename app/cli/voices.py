"""`soundstage voices add | list | remove`: cloned voices of this installation, each with a consent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.cli.opening import with_services
from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation, run
from app.composition import Services, opened, working
from soundstage.blobs.store import READ_BYTES
from soundstage.database import utcnow
from soundstage.errors import Invalid
from studio.consents.schemas import ConsentDraft
from studio.voices.samples import MOST_SAMPLE_BYTES
from studio.voices.schemas import VoiceLabels, VoiceView
from studio.voices.services import SpeechService


def register(cli: typer.Typer) -> None:
    voices = typer.Typer(
        no_args_is_help=True, help="Cloned voices of a speech service, each with its speaker's consent."
    )
    cli.add_typer(voices, name="voices")

    @voices.command()
    def add(
        context: typer.Context,
        sample: Annotated[Path, typer.Argument(help="1 to 30 s of the person speaking.", exists=True)],
        name: Annotated[str, typer.Option(help="Of the voice.")],
        said: Annotated[str, typer.Option(help="The words of the sample.")],
        service: Annotated[
            str | None,
            typer.Option(
                help="Address of a server with /v1/audio/voices; the one of the settings by default."
            ),
        ] = None,
        person: Annotated[str | None, typer.Option(help="Whose voice it is; they must have agreed.")] = None,
        purpose: Annotated[str | None, typer.Option(help="What they agreed to.")] = None,
        granted_at: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day they did; default today.")
        ] = None,
        consent: Annotated[
            str | None, typer.Option(help="A consent that is on record, instead of person and purpose.")
        ] = None,
        service_consent: Annotated[
            str | None,
            typer.Option(help="What the service calls the consent, where it has a record of its own."),
        ] = None,
        key_env: Annotated[
            str | None, typer.Option(help="The variable that holds the key of the service.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Record the consent, then have the service clone the voice of a sample."""
        called = invocation(context)
        if consent is None and (person is None or purpose is None):
            raise typer.BadParameter("Say who agreed and to what: --person and --purpose, or --consent.")
        if consent is not None and (person is not None or purpose is not None or granted_at is not None):
            raise typer.BadParameter(
                "A consent that is on record says who agreed and to what: --consent goes alone."
            )
        try:
            draft = (
                ConsentDraft(person=person, purpose=purpose, granted_at=granted_at or utcnow())
                if person is not None and purpose is not None
                else None
            )
            labels = VoiceLabels(
                name=name, said=said, consent=draft, consent_id=consent, service_consent=service_consent
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "consent"
            raise Invalid("voice.bad_labels", f"{where}: {first['msg']}.", "Correct it.") from error

        async def work() -> VoiceView:
            async with opened(called.settings()) as services, working(services, drive=False):
                # Whoever sits at the prompt is the operator, who says where samples may go.
                named = SpeechService("openai", service, key_env) if service is not None else None
                return await _added(services, sample, labels, named)

        _tell(called.printer(as_json), [run(work())])

    @voices.command("list")
    def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
        """List the cloned voices and who agreed."""
        called = invocation(context)
        _tell(called.printer(as_json), with_services(called, lambda services: services.studio.voices.list()))

    @voices.command()
    def remove(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="Of the voice, or its id.")],
        forget: Annotated[bool, typer.Option(help="Do not ask the service: it is gone for good.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Delete a voice at its service and its sample here, and end the consent recorded with it."""
        called = invocation(context)
        removed = with_services(called, lambda services: services.studio.voices.remove(name, forget=forget))
        _tell(called.printer(as_json), [removed])


async def _added(
    services: Services, sample: Path, labels: VoiceLabels, named: SpeechService | None
) -> VoiceView:
    async def chunks() -> AsyncIterator[bytes]:
        with sample.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                yield chunk

    blob, _ = await services.studio.assets.store(chunks(), max_bytes=MOST_SAMPLE_BYTES)
    return await services.studio.voices.create(labels, blob.sha256, service=named)


def _tell(printer: Printer, found: list[VoiceView]) -> None:
    rows = [
        [one.name, one.state, one.voice_id, one.service, one.consent.person, one.consent.granted_at[:10]]
        for one in found
    ]
    columns = ["name", "state", "voice", "service", "person", "agreed"]
    printer.listing(found, columns, rows, empty="There are no cloned voices.")
