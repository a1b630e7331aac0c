"""Moments that others name: with a zone, and such as UTC can say too. The wire types of every room use it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def within_utc(moment: date) -> date:
    """Raises ValueError for the first and last hours there are, in a zone in which UTC has another year:
    calendars end there, and what keeps moments in UTC with them.
    """
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        try:
            moment.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("this moment lies outside of the years 1 to 9999 of UTC") from error
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(within_utc)]
