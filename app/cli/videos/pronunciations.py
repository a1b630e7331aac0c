"""`soundstage pronunciations list | set | remove`: how names are spoken in every film."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.printing import Printer
from app.cli.state import JsonFlag, output


def register(cli: typer.Typer) -> None:
    pronunciations = add_group(cli, "pronunciations")

    @pronunciations.command("list")
    def list_(as_json: JsonFlag = False) -> None:
        """List the words and how they are spoken."""
        _print(output(as_json), call_studio(lambda api: api.get("/api/pronunciations")))

    @pronunciations.command("set")
    def set_(
        word: Annotated[str, typer.Argument(help="As scripts write it, without a space.")],
        spoken: Annotated[str, typer.Argument(help="A respelling, such as shee, or IPA between slashes.")],
        as_json: JsonFlag = False,
    ) -> None:
        """Have a word spoken this way in every film; captions show it as written."""
        _print(output(as_json), _change({word: spoken}))

    @pronunciations.command()
    def remove(word: str, as_json: JsonFlag = False) -> None:
        """Let the voices read a word by themselves again."""
        _print(output(as_json), _change({word: None}))


def _change(words: dict[str, str | None]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call_studio(
        lambda api: api.patch("/api/pronunciations", {"pronunciation": words})
    )
    return found


def _print(printer: Printer, found: list[dict[str, Any]]) -> None:
    rows = ([one["word"], one["spoken"]] for one in found)
    printer.listing(found, ["word", "spoken"], rows, empty="Every word is read by the voice's own rules.")
