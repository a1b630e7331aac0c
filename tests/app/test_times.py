"""Times as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.cli.times import minute, parse_time, second
from soundstage.errors import Invalid

HERE = timezone(timedelta(hours=2))
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=HERE)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("17:00", "2026-11-20T17:00:00+02:00"),
        (" 9:30", "2026-11-21T09:30:00+02:00"),
        ("12:00", "2026-11-21T12:00:00+02:00"),
        ("2026-12-01T08:00+01:00", "2026-12-01T08:00:00+01:00"),
    ],
)
def test_a_time_of_day_is_the_next_one(typed: str, meant: str) -> None:
    assert parse_time(typed, NOON).isoformat() == meant


def test_a_time_without_zone_is_meant_here() -> None:
    assert parse_time("2026-12-01T08:00").tzinfo is not None


@pytest.mark.parametrize("typed", ["", "soon", "25:00", "17:00:00:00", "2026-13-01"])
def test_what_is_no_time_is_an_error_with_an_example(typed: str) -> None:
    with pytest.raises(Invalid, match="is no time"):
        parse_time(typed)


def test_tables_show_times_in_one_form_and_in_utc() -> None:
    assert minute("2026-11-21T14:02:09+02:00") == "2026-11-21 12:02"
    assert minute("2026-11-21T14:02:09.123456Z") == "2026-11-21 14:02"
    assert minute(None) is None
    assert second("2026-11-21T14:02:09.9Z") == "2026-11-21 14:02:09"


def test_no_command_cuts_a_moment_out_of_iso_8601_by_itself() -> None:
    for file in (Path(__file__).parents[2] / "app" / "cli").glob("*.py"):
        assert not re.search(r"_at[\"']\]\[:1[69]\]|\[\"at[\"']\]\[:", file.read_text()), file
