"""Words of others reach a terminal without the orders that they hold, whichever way they are printed."""

from __future__ import annotations

import json

import pytest

from agent.events import Text, TextPart
from app.cli.printing import Printer
from app.cli.progress import AnswerView

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\x1b[0m \u202eback\rover\ta\nb"
ORDERS = ("\x1b", "\x07", "\x9b", "\u202e", "\r")


def check(captured: pytest.CaptureResult[str]) -> str:
    said = captured.out + captured.err
    assert "red" in said and not [one for one in ORDERS if one in said], repr(said)
    return said


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
