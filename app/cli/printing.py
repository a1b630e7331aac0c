"""Prints tables, JSON and errors in the same form for every command."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from soundstage.errors import SoundstageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from app.cli.console import HarmlessConsole

WIDEST_TABLE = 400


class Printer:
    """Writes results to standard output and everything else to standard error, as text or as JSON lines."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> HarmlessConsole:
        """Standard output."""
        from app.cli.console import HarmlessConsole

        return HarmlessConsole()

    @cached_property
    def err(self) -> HarmlessConsole:
        """Standard error."""
        from app.cli.console import HarmlessConsole

        return HarmlessConsole(stderr=True)

    def value(self, value: BaseModel | Mapping[str, Any] | Sequence[Any]) -> None:
        """One JSON document on standard output."""
        from soundstage.one_line import harmless_json

        text = json.dumps(_plain(value), ensure_ascii=False, indent=None if self.as_json else 2)
        print(harmless_json(text), flush=True)

    def line(self, text: str) -> None:
        """A line for people; nothing in JSON mode."""
        if not self.as_json:
            self.out.print(text, markup=False)

    def part(self, text: str) -> None:
        """The next characters of a line that is being written."""
        if not self.as_json:
            self.out.print(text, markup=False, end="")
            self.out.file.flush()

    def note(self, text: str) -> None:
        """A remark beside the answer, on standard error."""
        if not self.as_json:
            self.err.print(text, markup=False, style="dim")

    def answer(self, value: BaseModel | Mapping[str, Any] | Sequence[Any], sentence: str) -> None:
        """Prints what a command has done: the value for programs, or the sentence for people."""
        if self.as_json:
            self.value(value)
        else:
            self.line(sentence)

    def secret(self, created: Mapping[str, Any], secret: str, remark: str) -> None:
        """Prints what was created, with what is shown only now: alone on standard output for people."""
        self.answer(created, secret)
        if not self.as_json:
            self.err.print(f"{remark} It is shown only now.", markup=False)

    def listing(
        self,
        found: BaseModel | Mapping[str, Any] | Sequence[Any],
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        empty: str,
    ) -> None:
        """Prints what a command has found: the values for programs, or a table of them for people."""
        if self.as_json:
            self.value(found)
        else:
            self.table(columns, rows, empty=empty)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
        from rich.markup import escape
        from rich.table import Table

        from app.cli.console import HarmlessConsole
        from soundstage.one_line import harmless

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(escape(harmless(str(cell if cell is not None else "–"))) for cell in row))
        if table.row_count:
            # Ids must come out whole: a narrow terminal wraps the line, and a pipe has no width at all.
            HarmlessConsole(width=max(self.out.width, WIDEST_TABLE)).print(table, soft_wrap=False)
        else:
            self.line(empty)

    def error(self, error: SoundstageError) -> None:
        """Code, sentence, hint; never a traceback."""
        self.failure(error.code, error.message, error.hint, status=error.status)

    def failure(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        suggestions: Sequence[str] = (),
        status: int | None = None,
    ) -> None:
        if self.as_json:
            found = {"type": "error", "code": code, "message": message, "hint": hint, "status": status}
            print(json.dumps(found | ({"suggestions": list(suggestions)} if suggestions else {})), flush=True)
            return
        from rich.markup import escape

        self.err.print(f"[bold red]error[/] {escape(message)}  [dim]({escape(code)})[/]")
        if hint:
            self.err.print(f"[bold]hint[/]  {escape(hint)}")
        for suggestion in suggestions:
            self.err.print(f"        {escape(suggestion)}")


def _plain(value: Any) -> Any:
    if (dump := getattr(value, "model_dump", None)) is not None:
        return dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
