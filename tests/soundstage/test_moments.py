"""Moments that others name are such as UTC can say."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from soundstage.moments import Moment, within_utc

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00-12:00", "9999-12-31T23:59:59+14:00"]
)
def test_the_first_and_the_last_moments_are_taken_as_they_are(moment: str) -> None:
    assert MOMENT.validate_python(moment) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_a_moment_that_has_another_year_in_utc_than_calendars_have_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        MOMENT.validate_python(moment)


def test_a_moment_without_a_zone_is_refused_and_a_day_needs_none() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        MOMENT.validate_python("2026-01-01T00:00:00")
    assert within_utc(date(1, 1, 1)) == date(1, 1, 1)
    assert within_utc(datetime(1, 1, 1)) == datetime(1, 1, 1)
