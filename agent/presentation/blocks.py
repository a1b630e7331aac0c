"""Blocks of a result: paragraphs, tables, lists and preformatted text, with links and states as data.

Tools return them beside the result; the page draws each kind by one component and parses no sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_ROWS = 40
"""Of a table; a reader gets the number of the others."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Link(_Part):
    """A text that leads to the view of a thing; a terminal prints the text alone."""

    kind: Literal["link"] = "link"
    to: Literal["video", "approval"]
    id: str
    text: str


class Id(_Part):
    """An id that people type at a terminal, with the brackets around it; the page has a link instead."""

    kind: Literal["id"] = "id"
    text: str


class StateLabel(_Part):
    """A state of a state machine; `text` where people call it otherwise."""

    kind: Literal["state"] = "state"
    state: str
    text: str = ""


Inline = str | Link | Id | StateLabel


class Paragraph(_Part):
    """Running text; text in backticks is code."""

    kind: Literal["paragraph"] = "paragraph"
    content: tuple[Inline, ...]


class Table(_Part):
    """Rows of equal length; `more` rows are left out. A terminal prints no heads."""

    kind: Literal["table"] = "table"
    name: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Inline, ...], ...]
    more: int = 0


class Items(_Part):
    """A list, one entry a line, with `mark` before each."""

    kind: Literal["items"] = "items"
    mark: str = ""
    rows: tuple[tuple[Inline, ...], ...]


class Preformatted(_Part):
    """Output of programs: shown as it is."""

    kind: Literal["preformatted"] = "preformatted"
    text: str


Block = Annotated[Paragraph | Table | Items | Preformatted, Field(discriminator="kind")]
Blocks = tuple[Block, ...]


def page(*parts: Block | str | None) -> Blocks:
    """Joins blocks. A text becomes a paragraph; nothing, an empty text or an empty list is left out."""
    blocks = (paragraph(part) if isinstance(part, str) else part for part in parts if part)
    return tuple(block for block in blocks if not isinstance(block, Table | Items) or block.rows)


def paragraph(*content: Inline) -> Paragraph:
    return Paragraph(content=tuple(part for part in content if part != ""))


def table(
    name: str, heads: Sequence[str], rows: Iterable[Sequence[Inline]], *, maximum: int | None = MAX_ROWS
) -> Table:
    """Builds a table; rows after the first `maximum` are counted."""
    cells = tuple(tuple(row) for row in rows)
    shown = cells[:maximum]
    return Table(name=name, heads=tuple(heads), rows=shown, more=len(cells) - len(shown))


def items(rows: Iterable[str], mark: str = "") -> Items:
    return Items(
        mark=mark,
        rows=tuple((row,) for row in rows),
    )
