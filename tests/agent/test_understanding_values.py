"""Values in words: numbers, ordinals, times, codes and fixed values, in both languages."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.understanding import calculations, changes, moments, values
from agent.understanding.when import conditions

NOW = datetime(2026, 11, 22, 10, 0)  # a Sunday


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("two", 2),
        ("twenty three", 23),
        ("a dozen", 12),
        ("dreiundzwanzig", 23),
        ("zwölf Zeilen", 12),
        ("two hundred", 200),
        ("no figure here", None),
        ("last 40 lines", 40),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert values.number(text) == number


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("2nd", 2),
        ("the third one", 3),
        ("letzte", -1),
        ("scene 4", 4),
        ("die zweite", 2),
        ("at the end", -1),
        ("blue", None),
    ],
)
def test_ordinals(text: str, place: int | None) -> None:
    assert values.ordinal(text) == place


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1 December, eight in the morning", "2026-12-01T08:00"),
        ("am 1. Dezember um 9 Uhr", "2026-12-01T09:00"),
        ("30. November um 18 Uhr", "2026-11-30T18:00"),
        ("1st of December 2026 at 8 o'clock", "2026-12-01T08:00"),
        ("tomorrow 8 am", "2026-11-23T08:00"),
        ("Friday at noon", "2026-11-27T12:00"),
        ("in two hours", "2026-11-22T12:00"),
        ("1 March 2027, 9:00 UTC", "2027-03-01T09:00"),
        ("half past ten on Friday", "2026-11-27T10:30"),
        ("morgen früh um acht", "2026-11-23T08:00"),
        ("next Monday 7pm", "2026-11-23T19:00"),
        ("24.12. um 18 Uhr", "2026-12-24T18:00"),
        ("2026-12-24 18:00", "2026-12-24T18:00"),
        ("um 8 am Abend", "2026-11-22T20:00"),
        ("morgen um 7 am Nachmittag", "2026-11-23T19:00"),
        ("morgen um 8 am Morgen", "2026-11-23T08:00"),
        ("heute um 11 Uhr am Morgen", "2026-11-22T11:00"),
        ("um 12 am Dienstag", "2026-11-24T12:00"),
        ("12 am on Tuesday", "2026-11-24T00:00"),
        ("um 12 Uhr nachts", "2026-11-23T00:00"),
        ("at 12 at night", "2026-11-23T00:00"),
        ("um halb 9", "2026-11-23T08:30"),
        ("um viertel vor 8 abends", "2026-11-22T19:45"),
        ("dreiviertel neun", "2026-11-23T08:45"),
        ("31 February", None),
        ("45 o'clock", None),
        ("soon", None),
    ],
)
def test_times(text: str, time: str | None) -> None:
    found = moments.moment(text, NOW)
    assert (None if found is None else found.strftime("%Y-%m-%dT%H:%M")) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("half past seven in the evening", "2026-11-22T19:30"),
        ("at quarter to nine at night", "2026-11-22T20:45"),
        ("halb neun", "2026-11-23T08:30"),
        ("um 8 am Abend", "2026-11-22T20:00"),
        ("um 8 Uhr am Morgen", "2026-11-23T08:00"),
        ("noon on Friday", "2026-11-27T12:00"),
        ("um 12 nachts", "2026-11-23T00:00"),
    ],
)
def test_a_condition_has_the_whole_time(text: str, time: str) -> None:
    [found] = conditions(text, NOW)
    assert found.condition.at is not None
    assert found.condition.at.strftime("%Y-%m-%dT%H:%M") == time


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("call it: Ebb and flow", "Ebb and flow"),
        ("call it Ebb and render it", None),
        ("rename the video to Ebb", "Ebb"),
        ("call it Ebb. And tell me how long it is", None),
        ("nenn es: Ebbe", "Ebbe"),
        ("nenne das Projekt Tides in Alter Hafen um", "Alter Hafen"),
        ("nenne es in Alter Hafen um", "Alter Hafen"),
        ("nenne das Projekt Tides um in Alter Hafen", "Alter Hafen"),
    ],
)
def test_new_names(text: str, name: str | None) -> None:
    assert values.new_name(text) == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Call it: Harbour tour. And then add a scene.", ("Call it: Harbour tour", "add a scene.")),
        ("nenn es: Ebbe und Flut. Und wie lang ist es?", ("nenn es: Ebbe und Flut", "wie lang ist es?")),
        ("Have Nova say: Good morning. Call me later.", None),
        ("Call it: Harbour tour.", None),
        ("Rename it. Nova says: My name is Nova. Hello.", None),
    ],
)
def test_a_name_after_a_colon_ends_with_its_sentence(text: str, parts: tuple[str, str] | None) -> None:
    assert changes.name_in_sentence(text) == parts


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("let it in, 2c91-a110-1679", "2c91-a110-1679"),
        ("four f nine zero dash b b one two dash zero zero seven three, let it in", "4f90-bb12-0073"),
        ("zwei c neun eins strich a eins eins null strich eins sechs sieben neun", "2c91-a110-1679"),
        ("call it dead beef", None),
        ("12 34", None),
    ],
)
def test_codes_of_consoles(text: str, code: str | None) -> None:
    assert values.console_code(text) == code


@pytest.mark.parametrize(
    ("slot", "text", "value"),
    [
        ("shape", "upright please", "vertical"),
        ("shape", "hochkant", "vertical"),
        ("shape", "1:1", "square"),
        ("quality", "720", "720p"),
        ("quality", "4K", "2160p"),
        ("quality", "999p", None),
        ("captions", "burned in", "burned"),
        ("captions", "ohne Untertitel", "none"),
        ("privacy", "unlistd", "unlisted"),
        ("privacy", "mit Link", "unlisted"),
        ("background", "#1b2733", "#1b2733"),
        ("background", "dunkelblau", "navy"),
        ("background", "slate grey", "slate grey"),
    ],
)
def test_fixed_values(slot: str, text: str, value: str | None) -> None:
    assert values.constant_value(slot, text) == value


def test_a_value_outside_an_argument_counts_only_beyond_doubt() -> None:
    assert values.plain_value("privacy", "put it up unlisted now") == "unlisted"
    assert values.plain_value("privacy", "show all of them") is None
    assert values.plain_value("shape", "square, no, vertical") is None


def test_two_values_contradict_each_other() -> None:
    assert values.is_contradicted("privacy", "public — UNLISTED, unlisted!", {"privacy": "public"})
    assert not values.is_contradicted("privacy", "public please", {"privacy": "public"})


def test_a_value_in_a_script_is_no_contradiction() -> None:
    script = "This is a public service announcement for everyone"
    assert not values.is_contradicted(
        "privacy", f"privately: {script}", {"privacy": "private", "script": script}
    )


def test_a_word_of_an_argument_that_was_not_found_is_a_cue() -> None:
    assert values.missing_cue("with subtitles somehow", {"project"}, {"project", "captions"}) == "captions"
    assert values.missing_cue("with subtitles somehow", {"captions"}, {"project", "captions"}) is None
    assert values.missing_cue("with subtitles somehow", {"project"}, {"project"}) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("3 November", "2026-11-03"),
        ("2. Mai", "2026-05-02"),
        ("24 December", "2025-12-24"),
        ("29 February", "2024-02-29"),
        ("12 May 2027", "2027-05-12"),
        ("last Tuesday", "2026-11-17"),
        ("letzten Freitag", "2026-11-20"),
        ("yesterday", "2026-11-21"),
        ("today", "2026-11-22"),
        ("soon", None),
    ],
)
def test_days_on_which_somebody_agreed_are_no_days_to_come(text: str, day: str | None) -> None:
    found = moments.past_day(text, NOW)
    assert (found and found.isoformat()) == day


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at least ten-eighty", "2026-11-23T10:00"),
        ("2026-13-45", None),
        ("2026-02-30 at noon", None),
        ("31.2.", None),
        ("in 99999999999999 days", None),
        ("29 February", "2028-02-29T00:00"),
        ("29.2.2027", None),
        ("1.2.", "2027-02-01T00:00"),
    ],
)
def test_times_that_cannot_be_are_none(text: str, found: str | None) -> None:
    at = moments.moment(text, datetime(2026, 11, 22, 10, 0))
    assert (at and at.strftime("%Y-%m-%dT%H:%M")) == found


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("transcribe interview.wav as srt", "srt"),
        ("a .vtt file of ast_12", "vtt"),
        ("WebVTT, please", "vtt"),
        ("SubRip for the talk", "srt"),
        ("read captions.srt to me", None),
        ("subtitles for the footage", None),
    ],
)
def test_the_form_of_a_file_of_captions(text: str, form: str | None) -> None:
    assert values.caption_format(text) == form


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mach aus elternabend.pdf ein Projekt mit Szenen", "elternabend.pdf"),
        ("scenes from https://example.org/tides?a=1, please.", "https://example.org/tides?a=1"),
        ("put ~/talks/Intro.PPTX in.", "~/talks/Intro.PPTX"),
        ("a.md and b.md", None),
        ("import the slides", None),
    ],
)
def test_the_document_that_a_sentence_names(text: str, name: str | None) -> None:
    assert values.document(text) == name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("and divided by 12?", "(24 * 365) / 12"),
        ("plus 90", "(24 * 365) + 90"),
        ("und das mal 2,5", "(24 * 365) * 2.5"),
        ("now times 2 minus 1", "(24 * 365) * 2 - 1"),
        ("and a video of 12", None),
        ("times 2%", None),
        ("divided by 1,000", None),
        ("divided by twelve machines", None),
        ("24 times 365", None),
    ],
)
def test_a_calculation_goes_on_with_the_last_one(text: str, code: str | None) -> None:
    assert calculations.further_calculation(text, "24 * 365") == code


def test_a_program_is_no_calculation_that_goes_on() -> None:
    assert calculations.further_calculation("plus 1", "print(1)") is None
