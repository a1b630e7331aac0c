"""The built-in voices speak what is written in English in full: one table, written -> spoken."""

from __future__ import annotations

import pytest
from avatar.speech.spoken_english import in_words

TABLE = [
    ("It covers 12 km² of land.", "It covers 12 square kilometers of land."),
    ("A room of 20m².", "A room of 20 square meters."),
    ("It weighs 5 lbs. without fuel", "It weighs 5 pounds without fuel"),
    ("It weighs 5 lbs. Then we left", "It weighs 5 pounds. Then we left"),
    ("He is 6'2\" tall", "He is 6 foot 2 tall"),
    ("(He is 5'11\").", "(He is 5 foot 11)."),
    ("Open 24/7.", "Open 24 7."),
    ("Open Mon.–Fri. from 9am", "Open Monday to Friday from 9 A M"),
    ("Open Mon-Fri, 9–17.", "Open Monday to Friday, 9 to 17."),
    ("Sales in Jan–Mar", "Sales in January to March"),
    ("See pp. 4–7 and fig. 3.", "See pages 4 to 7 and figure 3."),
    ("See p. 12, vol. 2", "See page 12, volume 2"),
    ("She writes C#, F# and C++.", "She writes C sharp, F sharp and C plus plus."),
    ("After WWII ended", "After World War Two ended"),
    ("On 2026-04-03, we met", "On April third 2026, we met"),
    ("On 2026-13-03, we met", "On 2026-13-03, we met"),
    ("On 25/12/2026.", "On December twenty-fifth 2026."),
    ("At 9:30am or 4PM.", "At 9:30 A M or 4 P M."),
    ("On Fri. at 9.30am, or on Mon. We wait", "On Friday at 9:30 A M, or on Monday. We wait"),
    ("A share of 3% (or -2.5%).", "A share of 3 percent (or -2.5 percent)."),
    ("Between 3–5% more", "Between 3 to 5 percent more"),
    ("Dr. No vs. Co. in court", "doctor No versus Co. in court"),
    ("Smith & Co. in Leeds", "Smith and company in Leeds"),
    ("He lives at 12 Elm Rd. Then he moved", "He lives at 12 Elm road. Then he moved"),
    ("He lives in Elm St. Then he moved", "He lives in Elm street. Then he moved"),
    ("He left at 5 p.m. They stayed", "He left at 5 P M. They stayed"),
    ("The U.S. Army and J. K. Lee", "The U.S. Army and J. K. Lee"),
    ("Ask Prof. Then or Mr. This", "Ask professor Then or mister This"),
    ("On 03/04/26 we met", "On April third 2026 we met"),
    ("On 03/04/71 we met", "On April third 1971 we met"),
    ("It costs €1.50/kg.", "It costs 1 euro and 50 cents per kilogram."),
    ("At $120/night or 30 km/h", "At 120 dollars per night or 30 kilometers per hour"),
    ("Rise of 3 m/s and 5 g/l", "Rise of 3 meters per second and 5 g/l"),
    ("Take 1/2 of it, 3/4 is left.", "Take one half of it, three quarters is left."),
    ("Add 1 1/2 cups, 2½ spoons and ½ egg", "Add 1 and a half cups, 2 and a half spoons and one half egg"),
    ("Call 9/11 or 5/7", "Call 9/11 or 5/7"),
    ("Lee et al. show it, as Wu et al. did.", "Lee et al show it, as Wu et al did."),
    ("Shown by Lee et al. The rest failed.", "Shown by Lee et al. The rest failed."),
    (
        "Open on Sat. at nine, Sun. 3 May, or Wed. morning",
        "Open on Saturday at nine, Sunday 3 May, or Wednesday morning",
    ),
    ("We meet on Sat. The rest stays", "We meet on Saturday. The rest stays"),
    ("There he sat. The Sun. Ten wed. Then", "There he sat. The Sun. Ten wed. Then"),
    ("A well-known mother-in-law, 555-1234", "A well-known mother-in-law, 555-1234"),
]


@pytest.mark.parametrize(("written", "spoken"), TABLE)
def test_what_is_written_is_spoken_in_full(written: str, spoken: str) -> None:
    assert " ".join(in_words(written.split())) == spoken


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("en-US", "March fourth 2026"), ("en-GB", "April third 2026"), ("en", "April third 2026")],
)
def test_a_date_is_read_by_the_language(language: str, spoken: str) -> None:
    assert in_words(["03/04/2026"], language) == [spoken]
