"""Ends of sentences by their text: captions, moods, cuts and pauses all ask here."""

from __future__ import annotations

import re
import unicodedata

SENTENCE_ENDS = frozenset(".!?…。！？؟۔।")
CLOSERS = "\"'»”’)]}）」』"
OPENERS = "\"'«„“‘([{（「『¿¡"

_ABBREVIATIONS_TEXT = """
prof dr mr mrs ms mx st sr jr rev hon gen col capt lt sgt maj cmdr gov sen rep pres supt fr messrs mme
mlle rd ave blvd ln dept univ inc ltd corp bros est approx appt apt bldg no nos vol vols fig figs eq ch
sec pp pg ed eds vs viz cf al ibid op cit etc esp incl excl max min misc tel ext jan feb mar apr jun jul
aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun ca bzw usw ggf evtl vgl nr str hr
hrn dipl ing mio mrd sog bspw usf abs art mwst tsd sra srta dra av avda pág núm tfno ee.uu m.a mlles vve
env éd chap sig sigg ecc pag dott ing arch avv bijv enz mevr dhr blz jl nl resp
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
"""Without their full stop, in small letters: English, German, French, Spanish, Italian, Dutch."""

_NAMES_FOLLOW_TEXT = """
prof dr mr mrs ms mx st rev hon gen col capt lt sgt maj cmdr gov sen rep pres fr messrs mme mlle hr hrn
dipl ing sra srta dra sr dott avv arch mevr dhr no nos nr fig eq ch sec vol pp pág núm vs cf vgl approx
ca
"""
_NAMES_FOLLOW = frozenset(_NAMES_FOLLOW_TEXT.split())
"""Abbreviations behind which the sentence always goes on, whatever the next word looks like."""

_SPOKEN = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "So", "Sm", "Sc"))
"""Unicode categories that are said: letters, numbers, symbols."""

_INITIALS = re.compile(r"^(?:\w\.)+\w?\.?$")


def is_abbreviation(word: str, following: str | None) -> bool:
    """Returns whether the full stop of `word` is an abbreviation's and the sentence goes on behind it.

    An abbreviation that may end a sentence (etc., Rd., U.S.) does so where the next word begins one.
    """
    bare = word.strip(OPENERS + CLOSERS)
    if not bare.endswith(".") or bare.endswith(".."):
        return False
    stem = bare[:-1].casefold().rpartition("-")[2]
    if stem in _NAMES_FOLLOW or (len(stem) == 1 and stem.isalpha() and bare[0].isupper()):
        return following is not None
    if stem not in _ABBREVIATIONS and not _INITIALS.match(bare):
        return False
    return following is not None and not following.lstrip(OPENERS)[:1].isupper()


def ends_sentence(word: str, following: str | None) -> bool:
    """Returns whether a sentence ends with `word`, as far as the text tells."""
    bare = word.rstrip(CLOSERS)
    return bool(bare) and bare[-1] in SENTENCE_ENDS and not is_abbreviation(word, following)


def is_spoken(text: str) -> bool:
    """True with at least one letter, digit or symbol such as an emoji, % or +; voices say symbols by name."""
    return any(char in "%&@#" or unicodedata.category(char) in _SPOKEN for char in text)
