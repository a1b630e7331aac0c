"""The verdict of a rehearsal: limits, what is kept when a step fails, a page that shows texts as texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from avatar.errors import InvalidInput
from avatar.judge.verdict import Measure, Verdict

LAG = Measure("lag", "ms", -60, 60, "How late the lips are.")
SPEED = Measure("speed", "", 0.25, None, "How fast it is.")


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (-60, "passed"),
        (60, "passed"),
        (60.1, "missed"),
        (float("nan"), "not measured"),
        (None, "not measured"),
    ],
)
def test_limits_are_inclusive_and_nothing_is_not_a_pass(value: float | None, outcome: str) -> None:
    figure = LAG.judge("lip sync", value, "no face")
    assert (figure.verdict, figure.threshold) == (outcome, "≥ -60 and ≤ 60")
    assert figure.why == ("no face" if outcome == "not measured" else "")


def test_a_failed_step_keeps_what_it_measured_and_the_first_error_is_told() -> None:
    verdict = Verdict("in.mp4", "Hello.")
    verdict.put(LAG.judge("chain", None, "pending"), SPEED.judge("chain", None, "pending"))
    verdict.put(SPEED.judge("chain", 2.0))
    verdict.fail("chain", "pending", InvalidInput("a.b", "No face.", "Look."), (LAG, SPEED))
    verdict.fail("chain", "pending", InvalidInput("c.d", "Later."), (LAG, SPEED))
    assert [(one.measure, one.value, one.why) for one in verdict.figures.values()] == [
        ("lag", None, "No face."),
        ("speed", 2.0, ""),
    ]
    assert verdict.error == {"code": "a.b", "message": "No face.", "hint": "Look."}
    assert verdict.state == "incomplete"


def test_the_page_shows_texts_as_texts_and_the_record_can_be_read(tmp_path: Path) -> None:
    verdict = Verdict("<b>.mp4", "1 < 2 & “so”")
    verdict.put(LAG.judge("chain", 80.0), SPEED.judge("chain", float("nan")))
    verdict.write(tmp_path)
    page, record = (tmp_path / "verdict.html").read_text(), (tmp_path / "verdict.json").read_text()
    assert "&lt;b&gt;.mp4" in page and "1 &lt; 2 &amp;" in page and "<b>" not in page
    assert json.loads(record, parse_constant=pytest.fail)["state"] == "missed"
