"""Turns the sentence grammar into an automaton of words for a recogniser; called by the voice worker.

Optional parts, alternatives and rules map one to one. A slot becomes the values of its list, or the
names that exist; a template with a slot for free text is left out. The automaton is deterministic, minimal
and without cycles: a recogniser searches it while somebody speaks, and each state costs time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from hassil import Intents
from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.intents import TextSlotList
from hassil.parse_expression import parse_sentence

MAX_NAMES = 200
"""Names of one kind that a recogniser listens for; more of them make it slow and unsure."""
_MAX_FORMS = 64
"""So many forms of one word, as in “video[s]”, are written out at most."""
_PUNCTUATION = re.compile(r"[^\w'\s-]+")

Knows = Callable[[str], bool]
"""Whether the recogniser can hear a word."""
Arcs = dict[str, int]


@dataclass(frozen=True, slots=True)
class SpokenGrammar:
    """A deterministic automaton: `states[n]` maps each word that may follow to the next state. It begins in
    state 0; a sentence may end in the states of `ends`.
    """

    states: tuple[Arcs, ...]
    ends: frozenset[int]

    @property
    def words(self) -> set[str]:
        """Returns all words."""
        return {word for arcs in self.states for word in arcs}

    @classmethod
    def of(cls, sentences: Iterable[str]) -> SpokenGrammar:
        """Returns the automaton of these sentences alone."""
        return _minimal(*_automaton([_Part(tuple(words_of(text))) for text in sentences]))

    def variants(self, text: str) -> Iterator[tuple[str, str, str]]:
        """Yields whole sentences that differ from this one in one word: the sentence, its word, the other."""
        words = text.split()
        states = [0]
        for word in words:
            if (after := self.states[states[-1]].get(word)) is None:
                return
            states.append(after)
        for at, word in enumerate(words):
            for other, after in self.states[states[at]].items():
                if other != word and self._ends_with(after, words[at + 1 :]):
                    yield " ".join([*words[:at], other, *words[at + 1 :]]), word, other

    def _ends_with(self, state: int, words: Sequence[str]) -> bool:
        """Returns whether these words lead from a state to the end of a sentence."""
        at: int | None = state
        for word in words:
            at = None if at is None else self.states[at].get(word)
        return at in self.ends

    def is_complete(self, text: str) -> bool:
        """Returns whether these words are a whole sentence, so that nothing has to follow."""
        return self._ends_with(0, text.split())


def build_grammar(
    intents: Intents, more: Iterable[str], names: Mapping[str, Sequence[str]], knows: Knows
) -> SpokenGrammar:
    """Returns the automaton of all templates, and of `more` templates that only speech needs.

    names: of what exists, by the name of its slot ("persona", "project"). knows: words without a
    pronunciation are left out, with what needs them.
    """
    reader = _Templates(intents, names, knows)
    parts = [part for template in reader.templates(more) if (part := reader.part(template)) is not None]
    return _minimal(*_automaton(parts))


def words_of(text: str) -> list[str]:
    """Returns the words of a text in lower case, without punctuation; hyphens divide words."""
    return _PUNCTUATION.sub(" ", text.lower()).replace("-", " ").split()


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Words, then each part of the series, then one of the choices."""

    words: tuple[str, ...] = ()
    series: tuple[_Part, ...] = ()
    choices: tuple[_Part, ...] = ()


class _Templates:
    """Reads hassil's expressions; None stands for what cannot be spoken."""

    def __init__(self, intents: Intents, names: Mapping[str, Sequence[str]], knows: Knows) -> None:
        self._intents = intents
        self._names = names
        self._knows = knows
        self._rules: dict[str, _Part | None] = {}

    def templates(self, more: Iterable[str]) -> Iterable[Expression]:
        for intent in self._intents.intents.values():
            for some in intent.data:
                yield from (sentence.expression for sentence in some.sentences)
        for text in more:
            yield parse_sentence(text).expression

    def part(self, one: Expression) -> _Part | None:
        match one:
            case TextChunk():
                return self._text(one.original_text)
            case Permutation() if len(one.items) > 1:
                orders = [self._series([item, rest]) for item, rest in one.iterate_permutations()]
                return _choice(orders)
            case Alternative():
                return _choice([self.part(item) for item in one.items])
            case Group():
                return self._series(one.items)
            case ListReference():
                return self._list(one)
            case RuleReference():
                rule = self._intents.expansion_rules[one.rule_name]
                return self._once(f"rule {one.rule_name}", lambda: self.part(rule.expression))
            case _:
                return None

    def _series(self, items: Sequence[Expression]) -> _Part | None:
        parts = []
        for word in _divided(items):
            part = self._forms(word) if len(word) > 1 else self.part(word[0])
            if part is None:
                return None
            parts.append(part)
        return _Part(series=tuple(parts))

    def _forms(self, items: Sequence[Expression]) -> _Part | None:
        """Returns the forms of a word of which letters are optional or alternatives."""
        forms = [_texts(item) or [] for item in items]
        texts = dict.fromkeys("".join(some) for some in product(*forms))
        return _choice([self._text(text) for text in list(texts)[:_MAX_FORMS]])

    def _list(self, one: ListReference) -> _Part | None:
        if (limits := one.get_inline_range()) is not None:
            first, last, step = limits
            numbers = range(first, last + 1, step)[:MAX_NAMES]
            return _choice([self._text(str(number)) for number in numbers])
        return self._once(f"list {one.list_name} {one.slot_name}", lambda: self._values(one))

    def _values(self, one: ListReference) -> _Part | None:
        values = self._intents.slot_lists.get(one.list_name)
        if isinstance(values, TextSlotList):
            return _choice([self.part(value.text_in) for value in values.values])
        names = self._names.get(one.slot_name, self._names.get(one.list_name, ()))
        return _choice([self._text(name) for name in list(names)[:MAX_NAMES] if words_of(name)])

    def _once(self, name: str, read: Callable[[], _Part | None]) -> _Part | None:
        if name not in self._rules:
            self._rules[name] = None  # A rule that names itself cannot be spoken.
            self._rules[name] = read()
        return self._rules[name]

    def _text(self, text: str) -> _Part | None:
        words = words_of(text)
        return _Part(tuple(words)) if all(map(self._knows, words)) else None


def _choice(parts: Sequence[_Part | None]) -> _Part | None:
    choices = tuple(part for part in parts if part is not None)
    return _Part(choices=choices) if choices else None


def _divided(items: Sequence[Expression]) -> list[list[Expression]]:
    """Divides a series where white space or a slot is between its parts."""
    groups: list[list[Expression]] = []
    for item in items:
        if groups and _is_glued(groups[-1][-1], item):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _is_glued(before: Expression, after: Expression) -> bool:
    """Returns whether the letters of both are of one word: “video” and “[s]”."""
    if not isinstance(before, TextChunk) and not isinstance(after, TextChunk):
        return False
    ends, begins = _texts(before), _texts(after)
    if not ends or not begins:
        return False
    has_space = any(text[-1:].isspace() for text in ends) or any(text[:1].isspace() for text in begins)
    return any(ends) and any(begins) and not has_space


def _texts(one: Expression) -> list[str] | None:
    """Returns all texts of a part; None where it has slots, rules, or too many."""
    if isinstance(one, TextChunk):
        return [one.original_text]
    if not isinstance(one, Group) or isinstance(one, Permutation):
        return None
    inner = [_texts(item) for item in one.items]
    found = [texts for texts in inner if texts is not None]
    if len(found) < len(inner):
        return None
    if isinstance(one, Alternative):
        flat = [text for texts in found for text in texts]
    else:
        flat = ["".join(some) for some in product(*found)]
    return flat if len(flat) <= _MAX_FORMS else None


def _automaton(parts: Sequence[_Part]) -> tuple[list[list[tuple[str | None, int]]], int]:
    """Returns a nondeterministic automaton as (word or None, next) by state, and its last state."""
    arcs: list[list[tuple[str | None, int]]] = [[], []]

    def state() -> int:
        arcs.append([])
        return len(arcs) - 1

    def lay(part: _Part, start: int) -> int:
        for word in part.words:
            end = state()
            arcs[start].append((word, end))
            start = end
        for one in part.series:
            start = lay(one, start)
        if part.choices:
            end = state()
            for one in part.choices:
                arcs[lay(one, start)].append((None, end))
            start = end
        return start

    for part in parts:
        if (end := lay(part, 0)) != 0:
            arcs[end].append((None, 1))
    return arcs, 1


def _minimal(arcs: list[list[tuple[str | None, int]]], last: int) -> SpokenGrammar:
    """Determinises by subsets, and merges states with equal futures from the end on (no cycles)."""
    registered: dict[tuple[bool, tuple[tuple[str, int], ...]], int] = {}
    numbers: dict[frozenset[int], int] = {}

    def reach(states: Iterable[int]) -> frozenset[int]:
        found, waiting = set(states), list(states)
        while waiting:
            for word, after in arcs[waiting.pop()]:
                if word is None and after not in found:
                    found.add(after)
                    waiting.append(after)
        # A state of which only empty arcs leave says nothing of its own.
        return frozenset(one for one in found if one == last or any(word for word, _ in arcs[one]))

    def make(subset: frozenset[int]) -> int:
        if subset in numbers:
            return numbers[subset]
        following: dict[str, set[int]] = {}
        for one in subset:
            for word, after in arcs[one]:
                if word is not None:
                    following.setdefault(word, set()).add(after)
        next_states = tuple(sorted((word, make(reach(after))) for word, after in following.items()))
        key = (last in subset, next_states)
        number = registered.setdefault(key, len(registered))
        numbers[subset] = number
        return number

    start = make(reach([0]) - {last})
    # The start is made last; the recogniser wants it first.
    order = {number: len(registered) - 1 - number for number in range(len(registered))}
    states: list[Arcs] = [{} for _ in registered]
    ends = set()
    for (is_end, next_states), number in registered.items():
        states[order[number]] = {word: order[after] for word, after in next_states}
        if is_end:
            ends.add(order[number])
    if order[start] != 0:
        raise AssertionError("the first state is not the last one made")
    return SpokenGrammar(tuple(states), frozenset(ends))
