"""A title is one printable line, whatever people paste."""

import pytest
from pydantic import BaseModel

from soundstage.one_line import OneLine


class Named(BaseModel):
    name: OneLine | None = None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Hello", "Hello"),
        ("  two\nlines\tand\r\nmore ", "two lines and more"),
        ("\x1b[31mred\x07", "[31mred"),
        ("naïve مرحبا 👋🏽", "naïve مرحبا 👋🏽"),
        ("family 👨‍👩‍👧", "family 👨‍👩‍👧"),
    ],
)
def test_breaks_become_blanks_and_control_characters_go(name: str, shown: str) -> None:
    assert Named(name=name).name == shown


def test_nothing_stays_nothing() -> None:
    assert Named().name is None
