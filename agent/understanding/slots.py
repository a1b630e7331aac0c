"""Checks the values of free slots: machines, jobs and runs look like names, so that "accept my apologies"
accepts no machine. Called by the Grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

# A name of our own making has a digit or a hyphen; one without is said with its kind: "the machine pluto".
_TELLING = r"(?=[^\s,]*[0-9-])[A-Za-z0-9][A-Za-z0-9._/-]*"

_KINDS = (
    r"(?:video|render|clip|film|movie|recording|project|scene|script|snapshot|persona|machine|node|job|run"
    r"|picture|photo|one|thing|idea|request)"
)

SHAPES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "machine": re.compile(r"(?=[^\s]*[0-9-])[A-Za-z0-9][A-Za-z0-9-]*"),
        "machine_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"),
        # No id of a video or a run.
        "job": re.compile(rf"(?![a-z]+_[0-9A-Za-z]+$){_TELLING}"),
        "job_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"),
        "hosts": re.compile(rf"(?:all|gpu|{_TELLING}(?:(?:\s*,\s*|\s+and\s+){_TELLING})*)"),
        "hosts_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"),
        "playbook": re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?:[ -][A-Za-z0-9]+)?"),
        "role": re.compile(r"[A-Za-z][A-Za-z0-9_]*"),
        "run": re.compile(r"run_[0-9A-Za-z]+"),
        "snapshot": re.compile(r"\S+(?:\s+\S+){0,3}"),
        "other_snapshot": re.compile(r"\S+(?:\s+\S+){0,3}"),
        "saved": re.compile(
            r"(?!(?i:the|an?|my|your|our|his|her|its|their|it|this|that|these|those|some|more|all|up|on|last"
            r"|yesterday|today|then|when|i|we|you|me|us)\b)\S+(?:\s+\S+)?"
        ),
        # Nobody is called "remember that Nova", who says something.
        "persona": re.compile(
            r"(?!(?i:remember|memori[sz]e|note|forget|keep|don't|never|that)\b).*", re.DOTALL
        ),
        # "remember our channel is …" tells something; "remember me" and "remember to call Bob" do not.
        "statement": re.compile(
            r"(?i:(?:I|we|my|our|the|this|these|he|she|it|they|his|her|their|there|your?)\b).*\s.*\s.*",
            re.DOTALL,
        ),
        # "forget that the logo is blue" names what was told; "forget that video" and "forget that" do not.
        "forgotten": re.compile(
            rf"(?!(?i:(?:\S+\s+){{0,2}}{_KINDS}s?\b(?!\s+(?:is|are|was|were|has|have|had|can|will|must|should)\b)))"
            r"\S+(?:\s+\S+){2,}",
            re.DOTALL,
        ),
        # What is deleted is called by its id, or what stands for one in an offered sentence.
        "doomed": re.compile(r"latest|(?=\S*\d)[A-Za-z0-9_-]{4,80}"),
        "audited": re.compile(r"(?=\S*\d)[A-Za-z0-9_:.-]{4,80}"),
        # Ids of runs are said with their kind, so that "cancel run_…" is never taken for a video.
        "identifier": re.compile(r"(?!run_).+", re.DOTALL),
    }
)


FREE_TEXT_SLOTS = frozenset({"script", "remembered", "statement", "purpose", "topic", "colour"})
"""Slots with free text, in which "and delete it" is part of the text."""

_SECOND_IMPERATIVE = re.compile(
    r"(?:\b(?:and|then|but)|[,;.&])\s+(?:(?:then|also|please|just)\s+)*"
    r"(?:abort|accept|cancel|create|delete|deploy|drain|erase|film|forget|install|kill|load|make|move|power"
    r"|produce|publish|reboot|reinstall|reload|remember|remove|rename|render|repeat|restart|retire|retry|save"
    r"|scale|start|stop|throw|upload|wipe|write)\b",
    re.IGNORECASE,
)


def misshapen(slots: Mapping[str, str]) -> bool:
    """Returns whether a slot holds something that its kind of name never is."""
    return any(
        shape.fullmatch(value) is None
        for name, value in slots.items()
        if (shape := SHAPES.get(name)) is not None and isinstance(value, str)
    )


def has_second_imperative(slots: Iterable[tuple[str, str]]) -> bool:
    """Returns whether a name goes on with another command. Quotations in the values are masked."""
    return any(
        name not in FREE_TEXT_SLOTS and _SECOND_IMPERATIVE.search(value) is not None for name, value in slots
    )
