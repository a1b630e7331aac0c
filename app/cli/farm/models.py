"""`soundstage models list | add | verify | where`: the operator's weights, by the worker that loads them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.state import JsonFlag, invocation

Role = Annotated[str | None, typer.Option(help="What the file is for, where its name does not tell.")]


def register(cli: typer.Typer) -> None:
    models = add_group(cli, "models")

    @models.command("list")
    def list_(as_json: JsonFlag = False) -> None:
        """List the weights: state, licence and its limits, where to get them."""
        _worker(as_json, "list")

    @models.command()
    def add(
        file: Annotated[Path, typer.Argument(help="A file that you fetched.")],
        role: Role = None,
        link: Annotated[bool, typer.Option("--link", help="Leave it where it is and point to it.")] = False,
        replace: Annotated[
            bool, typer.Option("--replace", help="Also when another file was pinned before.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Put a file into its place, after a look into it, and pin its SHA-256."""
        chosen = {"--link": link, "--replace": replace}
        options = [name for name, on in chosen.items() if on] + ([f"--role={role}"] if role else [])
        _worker(as_json, "add", *options, "--", str(file.absolute()))

    @models.command()
    def verify(
        roles: Annotated[
            list[str] | None, typer.Argument(help="These must be there; default: all that is there.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Compare the weights with what was pinned, and look into them."""
        _worker(as_json, "verify", "--", *(roles or ()))

    @models.command()
    def where(
        role: Annotated[str | None, typer.Argument(help="A role; default: the folder of all.")] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Print the folder of the weights, or where the file of a role belongs."""
        _worker(as_json, "where", "--", *([role] if role else ()))


def _worker(as_json: bool, action: str, *arguments: str) -> None:
    """Runs the worker with our output streams; its exit code becomes ours."""
    from app.worker_command import run_worker

    called = invocation()
    settings = called.settings()
    options = ["--json"] if as_json or called.as_json else []
    if settings.worker.models_folder is not None:
        options.append(f"--models={settings.worker.models_folder}")
    sys.stdout.flush()
    done = run_worker(settings, "models", action, *options, *arguments)
    raise typer.Exit(done.returncode)
