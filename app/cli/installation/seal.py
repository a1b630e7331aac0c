"""`soundstage seal`: encrypts the private keys at rest, and changes what opens them."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connection import require_no_server
from app.cli.state import JsonFlag, invocation, output
from soundstage.errors import Invalid

if TYPE_CHECKING:
    from soundstage.settings.sealing import SealingSettings


def register(cli: typer.Typer) -> None:
    @cli.command()
    def seal(
        old_settings: Annotated[
            Path | None,
            typer.Option(
                "--old-settings", help="A settings file whose `[sealing]` opens the keys until now."
            ),
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Encrypt the private keys as `[sealing]` of the settings says.

        Stop the server first. The same command changes the sealing, and finishes a change that was cut off.
        """
        from app.sealing_prompt import prompt_for_passphrase
        from soundstage.key_sealing import PRIVATE_KEYS, seal_keys

        settings = invocation().settings()
        printer = output(as_json)
        require_no_server(settings.state_dir, "seal")
        with ExitStack() as stack:
            sealing = prompt_for_passphrase(settings.sealing, stack, confirm=True)
            old = sealing if old_settings is None else _read_section(old_settings)
            found = seal_keys(settings.state_dir.absolute(), sealing, old)
        if printer.as_json:
            printer.value({"sealed": found.sealed, "plain": found.plain, "opens_with": found.opens_with})
            return
        if not found.opens_with:
            printer.line(
                f"{len(found.plain)} private keys are not sealed: the mode of the files protects them."
            )
            return
        opener = " and ".join(found.opens_with)
        printer.line(f"{len(found.sealed)} private keys open with {opener}, and with nothing else.")
        printer.line("Backups hold them sealed: keep a copy of what opens them elsewhere. What each opens:")
        for name in found.sealed:
            printer.line(f"  {name}: {PRIVATE_KEYS[name]}")


def _read_section(path: Path) -> SealingSettings:
    """Returns the section of a settings file; no variable changes it."""
    from pydantic import ValidationError

    from soundstage.settings.sealing import SealingSettings

    try:
        return SealingSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))["sealing"])
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise Invalid(
            "sealing.bad_old_settings",
            f"{path} has no `[sealing]` section that can be read.",
            "Copy the section of before into a file, and name that file.",
        ) from error
