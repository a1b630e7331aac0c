"""The root command: joins the commands, and turns every expected failure into code, sentence and hint."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeGuard

import typer

from app.cli.commands import RootGroup
from app.cli.printing import Printer
from app.cli.state import Invocation, Stopped, set_invocation
from soundstage.errors import SoundstageError
from soundstage.telemetry.masking import mask_text

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_FAILED = 1
EXIT_INTERNAL = 70

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config-file", "-c", help="Settings file; default ./config.toml, if it is there."),
]
Server = Annotated[
    str | None,
    typer.Option("--server", help="Address of a server; `soundstage login` saves the key for it."),
]
RootJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log more, and show tracebacks of our own mistakes.")]


def build_cli() -> typer.Typer:
    """Return the root command. Made anew on each call: nothing happens at import time."""
    cli = typer.Typer(
        name="soundstage",
        cls=RootGroup,
        help="A sentence goes in, a video of somebody saying it comes out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @cli.callback()
    def root(
        config_file: ConfigFile = None,
        server: Server = None,
        as_json: RootJson = False,
        debug: Debug = False,
    ) -> None:
        set_invocation(Invocation(config_file, as_json=as_json, debug=debug, server=server))

    return cli


def main() -> None:
    """The entry point of the installed program."""
    sys.exit(run_cli(sys.argv[1:]))


def run_cli(arguments: list[str]) -> int:
    """Runs one command and returns its exit code: 1 for an expected failure, 2 for wrong usage."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    printer = Printer(as_json="--json" in options)
    try:
        build_cli()(arguments, prog_name="soundstage")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else EXIT_FAILED
    except SoundstageError as error:
        printer.error(error)
        return EXIT_FAILED
    except Stopped as stopped:
        return stopped.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`| head`).
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return EXIT_FAILED
    except Exception as error:
        if "--debug" in options:
            raise
        if _is_about_arguments(error):
            printer.failure("arguments.invalid", *_blamed(error), status=422)
            return EXIT_FAILED
        printer.failure(
            "internal.unexpected",
            f"This should not have happened: {mask_text(f'{type(error).__name__}: {error}')}",
            "Run it again with `soundstage --debug …` and report what it prints.",
        )
        return EXIT_INTERNAL
    return 0


def _is_about_arguments(error: Exception) -> TypeGuard[ValidationError]:
    # The code that raised one has loaded it.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(error, pydantic.ValidationError)


def _blamed(error: ValidationError) -> tuple[str, str]:
    """Sentence and hint for arguments that made no request: drafts check names, lengths and dates."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    where = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'they'}: {one['msg']}" for one in found[:3])
    return f"The arguments do not hold: {where}.", "`--help` behind the command tells what it takes."
