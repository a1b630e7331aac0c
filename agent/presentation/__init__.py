"""Presents results: blocks are data that the page draws, `text` lays the same blocks out for a terminal."""

from agent.presentation.blocks import (
    Block,
    Blocks,
    Id,
    Inline,
    Items,
    Link,
    Paragraph,
    Preformatted,
    StateLabel,
    Table,
    items,
    page,
    paragraph,
    table,
)
from agent.presentation.text import as_text

__all__ = [
    "Block",
    "Blocks",
    "Id",
    "Inline",
    "Items",
    "Link",
    "Paragraph",
    "Preformatted",
    "StateLabel",
    "Table",
    "as_text",
    "items",
    "page",
    "paragraph",
    "table",
]
