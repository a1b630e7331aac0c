"""Judges whether a likely reading of a clause may be done, or is asked about first."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from agent.understanding import changes, doubt, values
from agent.understanding.candidates import has_sentence_end, is_half_timed, own, plain
from agent.understanding.decision import (
    SURE_CALL,
    SURE_COMPUTED,
    SURE_DESPITE,
    SURE_RISKY,
)
from agent.understanding.followups import FollowUp
from agent.understanding.intents import DESTRUCTIVE, NEEDS_WORD
from agent.understanding.reader import MOST_CHARS, Candidate
from agent.understanding.references import KINDS_OF_SLOT, is_of_other_kind
from agent.understanding.slots import FREE_TEXTS
from agent.understanding.world import Thing, fold

RISKY = DESTRUCTIVE | {"publish_render.publish", "ansible", "cancel_run"}
RISKY_TOOLS = frozenset({"change_machine", "change_job"})
OWN_DENIALS: Mapping[str, Sequence[str]] = {
    "write_script.draft": ("no_film", "unchanged"),
    "memory.forget": ("outdated",),
    "ansible": ("unchanged",),
}
"""Patterns of the language files for denials that say the same as the intent."""
COMPUTES = frozenset({"code_runner"})
"""What needs code, and not only words for it."""
_OPERATOR = re.compile(r"[-+*/%=()\[\]]")
"""What code has, and words for a calculation do not: “17 percent of 2350”."""
_CLAUSE = re.compile(r"[,;:.!?–—\n]+\s*")
CREATES = frozenset({"edit_project.add_scene", "edit_project.create"})


@dataclass(frozen=True)
class Judgement(FollowUp):
    """One utterance in its state, with what speaks against its likeliest reading."""

    def is_doubtful(self, candidates: Sequence[Candidate]) -> bool:
        """Returns whether a word speaks against the call, or the whole reading is not sure enough."""
        best = candidates[0]
        slot_names = self.reader.slots.get(best.intent, ())
        spoken = _without_exact_texts(best)
        return bool(
            best.unread
            or self._has_unused_text(best)
            or _has_other_argument(best, slot_names)
            or any(
                slot in slot_names
                and values.is_contradicted(slot, changes.without_denied(slot, spoken), best.arguments)
                for slot in ("privacy", "shape", "quality")
            )
            or values.says("repairs", spoken)
            or changes.matches("corrects_itself", changes.without_quotations(own(best, best.text)))
            or values.says("musing", best.rest)
            or values.missing_cue(best.rest, best.arguments, slot_names) is not None
            or ("scenes" in slot_names and "scenes" not in best.arguments and _says_several(best.rest))
            or (best.intent in CREATES and _says_several(best.rest))
            or (best.intent in COMPUTES and not _is_code(str(best.arguments.get("code", ""))))
            or _may_be_past(best)
            or _is_gone_already(best)
            or ("captions" in slot_names and _denies_captions(best))
            or (
                (best.intent in RISKY or best.tool in RISKY_TOOLS)
                and spoken.rstrip(" .!\"”“'").endswith("?")
                and not changes.matches("requests", spoken)
            )
            or ("variables" in slot_names and "variables" not in best.arguments and "=" in best.text)
            or ("publish_at" in slot_names and is_half_timed(best))
            or any(has_sentence_end(best, slot) for slot in ("title", "name", "heading"))
            or (
                "render" in slot_names
                and "render" not in best.arguments
                and not self.dialogue.last.get("render")
            )
            or (
                best.tool == "edit_project"
                and best.intent != "edit_project.create"
                and "project" not in plain(best.arguments)
                and not self.dialogue.last.get("project")
            )
            or any(
                slot in slot_names
                and slot not in plain(best.arguments)
                and is_of_other_kind(best.intent, best.text, self.dialogue)
                for slot in KINDS_OF_SLOT
            )
            or self._is_unlikely(candidates)
        )

    def _has_unused_text(self, best: Candidate) -> bool:
        """Returns whether a quoted text, or one after a colon, is in no argument: it would be dropped."""
        sentence = self.reader.best_sentence(best.text[:MOST_CHARS], best.text, self.world)
        used = [fold(str(value)) for value in plain(best.arguments).values()]
        return any(not any(fold(one.text) in value for value in used) for one in sentence.literals)

    def _may_be_denied(self, best: Candidate) -> bool:
        """Returns whether a denial may be about the call: not where its clause says why, and the others want
        the same: “throw it away, nobody needs it”.
        """
        if not values.matches("negation", _without_own_denial(best)):
            return False
        clauses = [one.strip() for one in _CLAUSE.split(best.text)]
        denied = [one for one in clauses if values.matches("negation", one)]
        others = [one for one in clauses if one and one not in denied]
        if not others or not all(values.is_whole("reasons", one) for one in denied):
            return True
        again = self.read(", ".join(others))[0]
        return again.intent != best.intent or plain(again.arguments) != plain(best.arguments)

    def _has_words_against(self, best: Candidate) -> bool:
        """Returns whether a denial, a question or another number may be about the call."""
        return bool(
            self._may_be_denied(best)
            or ("count" in self.reader.slots.get(best.intent, ()) and values.matches("number", best.rest))
            # “Then” at the beginning refers to what was before.
            or values.says("goes_on", best.rest.strip().partition(" ")[2])
            or (values.asks(best.text) and best.intent not in COMPUTES)
        )

    def _is_unlikely(self, candidates: Sequence[Candidate]) -> bool:
        """Returns whether the signs are below what the call needs; for what others notice, also whether
        n-grams and encoder find different intents.
        """
        best = candidates[0]
        signs = doubt.signs(self.reader, self.world, candidates, self.dialogue.recent_kind)
        is_risky = best.intent in RISKY or best.tool in RISKY_TOOLS
        least = SURE_CALL
        if best.intent in COMPUTES:
            least = SURE_COMPUTED
        elif not self.is_alone or is_risky:
            least = SURE_RISKY
            if not signs.get("same intent", True):
                return True
        if self._has_words_against(best):
            if is_risky:
                return True
            least += SURE_DESPITE
        return doubt.confidence(signs) < least


def may_be_meant(candidate: Candidate, text: str) -> bool:
    """Returns whether a text has a word of what destroys, where the candidate would, and does not deny it."""
    if candidate.intent == "create_persona.delete" and changes.matches("forgets", text):
        # “Forget Harjit” is about who shall speak.
        return False
    pattern = NEEDS_WORD.get(candidate.intent)
    return pattern is None or (values.matches(pattern, text) and not _denial(pattern).search(text))


@cache
def _denial(pattern: str) -> re.Pattern[str]:
    word, negation = (values.words().patterns[name].pattern for name in (pattern, "negation"))
    before = rf"{negation}\W+(?:\w+\W+)?{word}"
    return re.compile(rf"{before}|{word}\W+(?:\w+\W+){{0,3}}(?:nicht|nichts)\b(?! mehr)", re.IGNORECASE)


def _without_exact_texts(best: Candidate) -> str:
    """Returns a clause without what it quotes or says after a colon: words of a script order nothing."""
    text = best.text
    for name in FREE_TEXTS - {*best.loose}:
        value = best.arguments.get(name)
        if isinstance(value, str) and value:
            text = text.replace(value, " ")
    return text


def _is_code(text: str) -> bool:
    """Returns whether a text is a program, or so long or of another kind that only its run tells."""
    if not _OPERATOR.search(text):
        return False
    try:
        ast.parse(textwrap.dedent(text).strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _may_be_past(best: Candidate) -> bool:
    """Returns whether words for what has happened stand beside a playbook: “verify blew up on ember”."""
    # “Check how verify did on ember” is no dry run.
    is_dry = best.arguments.get("check") is True and changes.matches("tries", best.text)
    return best.intent == "ansible" and not is_dry and changes.matches("happened", best.text)


def _is_gone_already(best: Candidate) -> bool:
    """Returns whether a deletion names what is in the trash: “Old promo is in the trash” may only say so."""
    things = [one for one in best.arguments.values() if isinstance(one, Thing)]
    is_deletion = best.intent in ("cancel_render.delete", "edit_project.delete")
    return is_deletion and "forever" not in best.arguments and any(one.is_trashed for one in things)


def _denies_captions(best: Candidate) -> bool:
    """Returns whether a text says that captions shall be off, and another value was read: “captions: off”."""
    text = changes.without_quotations(own(best, best.text))
    return best.arguments.get("captions") not in (None, "none") and changes.matches("captions_off", text)


def _without_own_denial(candidate: Candidate) -> str:
    """Returns the words of a clause without denials that its intent implies: “a draft, no film yet”."""
    text = own(candidate, candidate.text)
    if candidate.intent == "ansible" and candidate.arguments.get("check") is not True:
        return text
    for pattern in OWN_DENIALS.get(candidate.intent, ()):
        text = values.words().patterns[pattern].sub(" ", text)
    return text


def _has_other_argument(candidate: Candidate, slot_names: Collection[str]) -> bool:
    """Returns whether a text without quotation marks has words of another argument: “… and call it Tides”."""
    return any(
        values.missing_cue(text, candidate.arguments, slot_names) is not None
        or values.matches("renames", text)
        for text in (
            str(candidate.arguments.get(slot, "")) for slot in {"script", "text"} & {*candidate.loose}
        )
    )


def _says_several(text: str) -> bool:
    return any((values.number(word) or 0) > 1 for word in text.split())
