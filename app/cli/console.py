"""The terminal as commands write to it; a module of its own, because help is printed without it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from soundstage.one_line import harmless


class HarmlessConsole(Console):
    """Prints text as it is, without the orders to a terminal that words of others may hold.

    Others are programs in the sandbox, pictures, machines, models, other agents. Emoji codes stay text: a MAC
    address, a fingerprint or a time of day may hold `:cd:` or `:ab:`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(soft_wrap=True, highlight=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(harmless(one) if isinstance(one, str) else one for one in objects), **options)
