"""`soundstage rehearse`: the whole photoreal chain on an operator's weights and video, by the worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.state import JsonFlag, invocation, output

RECORD, PAGE = "verdict.json", "verdict.html"


def register(cli: typer.Typer) -> None:
    @cli.command()
    def rehearse(
        weights: Annotated[Path, typer.Option(help="The folder of the weights, as `models` fills it.")],
        video: Annotated[Path, typer.Option(help="A video of the person who is to speak.")],
        say: Annotated[
            str | None, typer.Option(help="What they are to say; else a sentence of many sounds.")
        ] = None,
        out: Annotated[
            Path | None, typer.Option(help="Where videos and verdict go; else a new folder of the results.")
        ] = None,
        person: Annotated[
            str | None, typer.Option(help="Who is seen and has agreed; else VIDEO.consent.json says it.")
        ] = None,
        purpose: Annotated[str | None, typer.Option(help="What they agreed to; with --person.")] = None,
        within: Annotated[
            float | None, typer.Option(min=0, help="Minutes after which it ends, with what was measured.")
        ] = None,
        cpu: Annotated[
            bool, typer.Option("--cpu", help="A dry run on the processor, in the size of the video.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Try the whole chain on a card with your weights and a video, and judge it.

        The verdict is a page, verdict.html, and the same for programs, verdict.json. Exit code 1 when a step
        failed or a figure misses its limit.
        """
        from datetime import datetime

        from app.worker_command import run_worker

        settings = invocation().settings()
        printer = output(as_json)
        folder = out or settings.out_dir / f"rehearsal-{datetime.now():%Y%m%d-%H%M%S}"
        (folder / RECORD).unlink(missing_ok=True)  # of an earlier run: it would be taken for this one's
        named = {"--say": say, "--person": person, "--purpose": purpose, "--within": within}
        options = [f"{name}={value}" for name, value in named.items() if value is not None]
        flags = [name for name, on in {"--cpu": cpu, "--json": printer.as_json}.items() if on]
        places = {"--weights": weights, "--video": video, "--out": folder}
        sys.stdout.flush()
        done = run_worker(
            settings,
            "rehearse",
            *(f"{name}={path.absolute()}" for name, path in places.items()),
            *options,
            *flags,
            output=subprocess.PIPE if printer.as_json else None,
        )
        if (folder / RECORD).is_file():
            verdict = json.loads((folder / RECORD).read_text("utf-8"))
            printer.value(verdict) if printer.as_json else _show(verdict, folder)
        elif printer.as_json and (lines := (done.stdout or b"").splitlines()):
            error = json.loads(lines[-1])
            printer.failure(error["code"], error["message"], error["hint"])
        raise typer.Exit(done.returncode)


def _show(verdict: dict[str, Any], folder: Path) -> None:
    """Prints the figures as a table, and where the page is."""
    printer = output(as_json=False)
    rows = [
        (
            one["step"],
            one["measure"],
            one["threshold"],
            "–" if one["value"] is None else f"{one['value']:g} {one['unit']}".rstrip(),
            one["verdict"],
            one["why"] or one["meaning"],
        )
        for one in verdict["figures"]
    ]
    printer.table(("STEP", "MEASURE", "THRESHOLD", "VALUE", "VERDICT", "WHAT IT MEANS"), rows, empty="")
    printer.line(f"{verdict['state']}: {folder / PAGE}")
