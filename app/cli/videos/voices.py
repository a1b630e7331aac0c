"""`soundstage voices add | list | remove`: voices of files and services, and cloned ones with a consent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.printing import Printer
from app.cli.state import JsonFlag, output
from app.cli.videos.voice_trials import TrialOptions, is_trial, try_voice
from app.cli.words import segment

if TYPE_CHECKING:
    from app.cli.studio_api import StudioApi


def register(cli: typer.Typer) -> None:
    voices = add_group(cli, "voices")

    @voices.command()
    def add(
        source: Annotated[
            str,
            typer.Argument(
                help="A Piper voice (.onnx), the address of a speech service, or 1 to 30 s of a person."
            ),
        ],
        persona: Annotated[
            str | None, typer.Option(help="The presenter that gets the voice of a file or a service.")
        ] = None,
        accept_licence: Annotated[
            bool, typer.Option("--accept-licence", help="You have read the licence that was shown.")
        ] = False,
        listen: Annotated[Path, typer.Option(help="Where the spoken sample goes.")] = Path(
            "voice-sample.wav"
        ),
        text: Annotated[str | None, typer.Option(help="What the sample says.")] = None,
        language: Annotated[str | None, typer.Option(help="Of the sample, such as de.")] = None,
        voice: Annotated[str | None, typer.Option(help="The voice of a service, such as nova.")] = None,
        model: Annotated[str | None, typer.Option(help="The model of a service.")] = None,
        name: Annotated[str | None, typer.Option(help="Of a cloned voice.")] = None,
        said: Annotated[str | None, typer.Option(help="The words of a recording to clone.")] = None,
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
        """Add a voice: of a Piper file or a service, with licence and sample, or cloned from a recording.

        A file or a service is tried first: its licence is shown, a sample is spoken, and with --persona and
        --accept-licence a presenter of yours gets it. A recording is cloned by the service of the settings
        after its speaker's consent, of the options or of RECORDING.consent.json, is recorded.
        """
        if is_trial(source):
            options = TrialOptions(persona, accept_licence, listen, voice, model, key_env, text, language)
            _try(output(as_json), source, options)
            return
        from avatar.spec.consent_file import consent_file

        sample = Path(source)
        if not sample.is_file():
            raise typer.BadParameter(f"There is no file {source}.")
        if name is None or said is None:
            raise typer.BadParameter("A recording is cloned under a --name, and --said are its words.")
        beside = consent_file(sample)
        if (consent, person, purpose, granted_at) == (None,) * 4 and beside.is_file():
            from app.cli.videos.consents import read_draft
            from studio.consents.schemas import start_of_day_utc

            draft = read_draft(beside)
            person, purpose, granted_at = draft.person, draft.purpose, start_of_day_utc(draft.granted_at)
        if consent is None and (person is None or purpose is None):
            raise typer.BadParameter(
                f"Say who agreed and to what: --person and --purpose, --consent, or the file {beside.name}."
            )
        if consent is not None and (person is not None or purpose is not None or granted_at is not None):
            raise typer.BadParameter(
                "A consent that is on record says who agreed and to what: --consent goes alone."
            )
        day = granted_at or datetime.now(UTC)
        labels = {
            "name": name,
            "said": said,
            "service": service,
            "key_env": key_env,
            "person": person,
            "purpose": purpose,
            "granted_at": None if person is None else day.isoformat(),
            "consent_id": consent,
            "service_consent": service_consent,
        }
        fields = {field: value for field, value in labels.items() if value is not None}

        async def send(api: StudioApi) -> Any:
            await api.start_making(dispatch=False)
            # The operator of the server decides where samples go, here or on another machine.
            unlisted = {"unlisted": "true"} if service is not None and not api.remote else {}
            return await api.post_form("/api/voices", sample, {**fields, **unlisted})

        _tell(output(as_json), [call_studio(send)])

    @voices.command("list")
    def list_(as_json: JsonFlag = False) -> None:
        """List the cloned voices and who agreed."""
        _tell(output(as_json), call_studio(lambda api: api.get("/api/voices")))

    @voices.command()
    def remove(
        name: Annotated[str, typer.Argument(help="Of the voice, or its id.")],
        forget: Annotated[bool, typer.Option(help="Do not ask the service: it is gone for good.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Delete a voice at its service and its sample here, and end the consent recorded with it."""
        path = f"/api/voices/{segment(name)}"
        removed = call_studio(lambda api: api.delete(path, forget=forget))
        _tell(output(as_json), [removed])


def _try(printer: Printer, source: str, options: TrialOptions) -> None:
    async def send(api: StudioApi) -> Any:
        await api.start_making(dispatch=False)
        return await try_voice(api, source, options, printer)

    trial = call_studio(send)
    if trial["persona"] is not None:
        ending = f"{trial['persona']} speaks with it from now on."
    else:
        ending = "No presenter was changed. Listen, then add --persona NAME --accept-licence."
    printer.answer(trial, ending)


def _tell(printer: Printer, found: list[dict[str, Any]]) -> None:
    rows = [
        [
            *(one[field] for field in ("name", "state", "voice_id", "service")),
            one["consent"]["person"],
            one["consent"]["granted_at"][:10],
        ]
        for one in found
    ]
    columns = ["name", "state", "voice", "service", "person", "agreed"]
    printer.listing(found, columns, rows, empty="There are no cloned voices.")
