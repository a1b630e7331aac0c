"""`soundstage pronunciations`: words that every film speaks the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Cli = Callable[..., Any]


def test_words_are_set_listed_and_removed(cli: Cli) -> None:
    assert cli("pronunciations", "list", "--json").json == []
    assert cli("pronunciations", "set", "Xi", "shee").code == 0
    (row,) = cli("pronunciations", "set", "XI", "she", "--json").json
    assert (row["word"], row["spoken"]) == ("XI", "she")
    assert "she" in cli("pronunciations", "list").out
    assert cli("pronunciations", "set", "two words", "x").code != 0
    assert cli("pronunciations", "remove", "xi", "--json").json == []
