"""SSML that people paste: it does what it says where the project can, and is never read aloud."""

from __future__ import annotations

import pytest
from avatar.speech.markup import parse_script
from avatar.speech.pieces import split_pieces
from avatar.tracks import SpeechTrack
from recordings import Speaker

DOCUMENT = """<?xml version="1.0"?>
<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis"
       xml:lang="en-US">
  <!-- greeting
  -->
  <p><s>Hello <emphasis level="strong">world</emphasis>, AT&amp;T.</s><break time="1.5s"/></p>
  <p>I &lt;3 <sub alias="World Wide Web">WWW</sub>.</p>
</speak>"""


def words(text: str) -> str:
    return parse_script(text).text


def test_a_whole_document_is_read_as_it_is_meant() -> None:
    script = parse_script(DOCUMENT)
    assert script.text == "Hello world, AT&T. I <3 WWW."
    assert [token.text for token in script.tokens if token.emphasis] == ["world,"]
    assert script.passages[0].pause_ms >= 1500
    assert script.pronunciation == {"WWW": "World Wide Web"}
    assert script.notes == ()


@pytest.mark.parametrize(
    ("written", "pause_ms"),
    [
        ("<break/>", 500),
        ("<break>", 500),
        ('<BREAK TIME="200MS" />', 200),
        ("<break time=“2s”/>", 2000),
        ("<break time=1s/>", 1000),
        ("<break\n  strength='x-strong'\n/>", 1200),
        ('<break strength="none"/>', 0),
        ("&lt;break time=&quot;300ms&quot;/&gt;", 300),
    ],
)
def test_a_break_is_a_pause(written: str, pause_ms: int) -> None:
    script = parse_script(f"one {written} two")
    assert (script.text, script.notes) == ("one two", ())
    assert script.passages[0].pause_ms == pause_ms


def test_a_break_of_no_time_is_half_a_second_and_a_note() -> None:
    script = parse_script('one <break time="soon"/> two')
    assert script.passages[0].pause_ms == 500
    assert [note.code for note in script.notes] == ["speech.markup_unsupported"]


@pytest.mark.parametrize(
    ("level", "stressed"), [("", True), (" level='strong'", True), (" level='none'", False)]
)
def test_emphasis_stresses_words_and_parts_none(level: str, stressed: bool) -> None:
    script = parse_script(f"un<emphasis{level}>believ</emphasis>able, that")
    assert [(token.text, token.emphasis) for token in script.tokens] == [
        ("unbelievable,", stressed),
        ("that", False),
    ]


@pytest.mark.parametrize("kind", ["characters", "spell-out", "verbatim", "digits"])
def test_say_as_spells_and_captions_keep_the_word(kind: str) -> None:
    script = parse_script(f'the <say-as interpret-as="{kind}">B2B</say-as>.')
    assert script.text == "the B2B."
    assert script.pronunciation == {"B2B": "B 2 B"}


def test_say_as_that_a_voice_decides_by_itself_is_noted() -> None:
    script = parse_script('on <say-as interpret-as="date">1.2.2026</say-as>')
    assert script.text == "on 1.2.2026"
    assert "date" in script.notes[0].message


def test_an_alias_for_several_words_takes_their_place() -> None:
    assert words('a <sub alias="Mister Smith">Mr. S.</sub> b') == "a Mister Smith b"


@pytest.mark.parametrize(
    ("rate", "factor"),
    [
        ("slow", 0.75),
        ("x-fast", 1.6),
        ("80%", 0.8),
        ("+20%", 1.2),
        ("-20%", 0.8),
        ("1.5", 1.5),
        ("900%", 2.0),
    ],
)
def test_prosody_changes_the_pace_of_its_words_alone(rate: str, factor: float) -> None:
    tokens = parse_script(f'one <prosody rate="{rate}">two</prosody> three').tokens
    assert [token.rate for token in tokens] == pytest.approx([1.0, factor, 1.0])


def test_what_prosody_cannot_change_is_said() -> None:
    notes = parse_script('<prosody pitch="high" volume="loud">one</prosody>').notes
    assert len(notes) == 1 and "pitch, volume" in notes[0].message


def test_espeak_speaks_half_as_fast_where_it_is_asked_to(say: Speaker) -> None:
    def speech_ms(track: SpeechTrack) -> int:
        return track.words[-1].end_ms - track.words[0].start_ms

    text = "people often believe that making a video is difficult"
    plain = say(text)
    slow = say(f'<prosody rate="50%">{text}</prosody>')
    assert speech_ms(slow) > 1.5 * speech_ms(plain)
    assert [word.text for word in slow.words] == text.split()


def test_espeak_gets_elements_that_are_closed_in_their_order() -> None:
    script = parse_script('<prosody rate="slow">a <emphasis>b</emphasis></prosody> c')
    ((piece,), _) = split_pieces(script, {}, "en-us")
    assert piece.text == (
        '<speak><prosody rate="75%">a </prosody><prosody rate="75%"><emphasis level="strong">b '
        "</emphasis></prosody>c "
    )


@pytest.mark.parametrize(
    "text",
    [
        "I <3 you",
        "a < b and c > d",
        "if a<b then c>d",
        "if a <b and c> d",
        "x << 2 >> 1",
        "mail Ann <ann@example.org>",
        "see <https://example.org/a>",
        "Mrs. <Jones> met AT&amp;T",
        "R&D &lt;3",
    ],
)
def test_plain_text_with_signs_stays_as_it_is(text: str) -> None:
    script = parse_script(text)
    assert (script.text, script.notes) == (text, ())


@pytest.mark.parametrize(
    "text", ["<emphasis>never closed", "</emphasis>never</prosody> closed", "<s>never <p>closed"]
)
def test_elements_that_do_not_match_lose_no_word(text: str) -> None:
    assert words(text) == "never closed"


@pytest.mark.parametrize(
    "text",
    ["<break " * 28_000, "<!--" * 50_000 + "<break/>", "<![CDATA[" * 20_000 + "<break/>", "<a b=c " * 28_000,
     '<sub alias="x">' * 13_000, "<emphasis>a</emphasis>" * 4_000, '<break time="' * 15_000, "&lt;" * 50_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_two_hundred_thousand_characters_of_tags_are_read_in_time(text: str) -> None:
    parse_script(text)
