"""VTT and SRT say what the cues say, in the spelling of each format."""

from avatar.compose.cues import Cue
from avatar.encode.subtitles import to_srt, to_vtt

CUES = [
    Cue(300, 1687, ("Hello <b>you</b> & me", "a --> b")),
    Cue(3_723_004, 3_725_500, ("مرحبا بالعالم.",)),
]


def test_vtt_has_a_head_times_with_hours_and_escapes():
    assert to_vtt(CUES) == (
        "WEBVTT\n\n"
        "00:00:00.300 --> 00:00:01.687\nHello &lt;b&gt;you&lt;/b&gt; &amp; me\na --&gt; b\n\n"
        "01:02:03.004 --> 01:02:05.500\nمرحبا بالعالم.\n"
    )


def test_srt_counts_from_one_uses_commas_and_no_tags():
    text = to_srt(CUES)
    assert text.startswith("1\n00:00:00,300 --> 00:00:01,687\nHello ‹b›you‹/b› & me\n")
    assert "\n\n2\n01:02:03,004 --> 01:02:05,500\nمرحبا بالعالم.\n" in text
    assert text.count("-->") == 2


def test_no_words_give_files_without_cues():
    assert to_vtt([]) == "WEBVTT\n"
    assert to_srt([]).strip() == ""
