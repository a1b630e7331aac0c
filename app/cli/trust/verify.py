"""`soundstage verify FILE`: the Content Credentials inside a video, and whether they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import call_studio, has_studio
from app.cli.state import JsonFlag, invocation, output


def register(cli: typer.Typer) -> None:
    @cli.command()
    def verify(
        video: Annotated[Path, typer.Argument(help="An MP4 file.")],
        certificate: Annotated[
            Path | None,
            typer.Option(
                help="The authority to trust, as PEM; without it that of the studio, if there is one."
            ),
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Show the Content Credentials (C2PA) of a video; exit code 1 when the file was changed."""
        from soundstage.errors import Invalid
        from studio.renders.credentials import Signer, read_credentials

        authority = None
        if certificate is None:
            # Where there is no studio none is set up to look at a file: its signer stays unknown.
            if has_studio(invocation()):
                authority = call_studio(lambda api: api.text("/api/videos-ca.pem"))
        else:
            try:
                authority = certificate.read_text("ascii")
            except (OSError, UnicodeDecodeError) as error:
                raise Invalid(
                    "credentials.bad_certificate", f"{certificate} cannot be read: {error}."
                ) from error
        found = read_credentials(video, authority)
        printer = output(as_json)
        if printer.as_json:
            printer.value(found)
        else:
            known = found.signer is Signer.INSTALLATION
            signer = "the authority that was named" if certificate else "this installation"
            printer.line(
                f"{video.name}: {'unchanged since it was signed' if found.valid else 'CHANGED'}, "
                f"signed by {signer if known else 'an unknown signer'} ({found.signed_by})."
            )
            printer.line(f"  title    {found.title}")
            printer.line(f"  source   {found.digital_source_type}")
            printer.line(f"  software {found.software}")
            printer.line(f"  trace    {found.trace_id or '–'}")
            for problem in found.problems:
                printer.line(f"  problem  {problem}")
        if not found.valid:
            raise typer.Exit(1)
