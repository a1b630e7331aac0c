"""Words of others reach a terminal without the orders that they hold, whichever way they are printed."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.markup import escape

from agent.events import Progress, Text, TextPart
from app.cli import console
from app.cli.console import HarmlessConsole
from app.cli.printing import Printer
from app.cli.progress import AnswerView

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\x1b[0m \u202eback\rover\ta\nb"
ORDERS = ("\x1b", "\x07", "\x9b", "\u202e", "\r")


def check(captured: pytest.CaptureResult[str]) -> str:
    text = captured.out + captured.err
    assert "red" in text and not [one for one in ORDERS if one in text], repr(text)
    return text


def test_text_for_people_orders_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(as_json=False)
    for show in (printer.line, printer.part, printer.note):
        show(EVIL)
        check(capsys.readouterr())
    printer.table(["a"], [[EVIL]], empty="")
    check(capsys.readouterr())
    printer.failure(EVIL, EVIL, EVIL, suggestions=[EVIL])
    check(capsys.readouterr())


def test_json_orders_no_terminal_and_says_what_it_said(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=True).value({"text": EVIL})
    Printer(as_json=False).value([EVIL])
    first, *rest = check(capsys.readouterr()).splitlines()
    assert json.loads(first) == {"text": EVIL}
    assert json.loads("".join(rest)) == [EVIL]
    Printer(as_json=True).failure("a.b", EVIL)
    assert json.loads(check(capsys.readouterr()))["message"] == EVIL


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_tool_or_a_model_says_orders_no_terminal(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with AnswerView(Printer(as_json=as_json)) as view:
        view.show(TextPart(text=EVIL))
        view.show(Text(text=EVIL))
        view.show(Text(text=EVIL))
    check(capsys.readouterr())


CODES = (
    "52:54:00:ab:cd:ef at fe80::ab:12 or 2001:db8:cd::1",
    "SHA-256 13:CD:19:AB:0F:A1",
    ":cd: :ab: :warning: [bold] at 12:ab:30",
)


@pytest.mark.parametrize("code", CODES)
def test_addresses_and_fingerprints_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str], code: str
) -> None:
    printer = Printer(as_json=False)
    for show in (printer.line, printer.part, printer.note):
        show(code)
        assert code in capsys.readouterr()[show == printer.note]
    printer.table(["a"], [[code]], empty="")
    assert code in capsys.readouterr().out
    printer.failure(code, code, code, suggestions=[code])
    assert capsys.readouterr().err.count(code) == 4
    printer.out.print(f"[bold]{escape(code)}[/]")
    assert code in capsys.readouterr().out


def test_the_bar_shows_stages_as_they_are() -> None:
    screen = io.StringIO()
    printer = Printer(as_json=False)
    printer.err = HarmlessConsole(file=screen, force_terminal=True, width=120)
    with AnswerView(printer) as view:
        view.show(Progress(render_id="r", state="running", stage=CODES[1], fraction=0.5))
    assert CODES[1] in screen.getvalue()


def test_commands_print_with_one_kind_of_console() -> None:
    """Every other console would replace `:cd:` by an emoji and pass on orders to the terminal."""
    others = {
        path.name
        for path in Path(console.__file__).parent.glob("*.py")
        if re.search(
            r"rich(\.console)? import .*\b(Console|print)\b|import rich$", path.read_text(), re.MULTILINE
        )
    }
    assert others == {"console.py"}
