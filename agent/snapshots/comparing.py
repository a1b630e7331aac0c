"""Compares two states of conversations, in sentences; called by the snapshot service."""

from __future__ import annotations

from collections.abc import Iterator

from agent.snapshots.schemas import Difference, Referent, SnapshotTurn, State

MAX_LISTED = 10
LISTED_CHARS = 80


def differences(before: State, after: State, now: Referent | None) -> tuple[Difference, ...]:
    """Returns the differences from `before` to `after`. `now` is the present video of `before`."""
    return (*_turns(before, after), *_referents(before, after), *_state(before.render, now))


def _turns(before: State, after: State) -> Iterator[Difference]:
    old, new = _aligned(before.turns, after.turns)
    same = 0
    while same < min(len(old), len(new)) and _is_same(old[same], new[same]):
        same += 1
    gone, added = old[same:], new[same:]
    if gone:
        lost = f"{_counted(len(gone))} of the snapshot {'is' if len(gone) == 1 else 'are'} not in it."
        yield Difference(kind="turns", sentence=lost)
    if added:
        lines = [f"  • {_short(turn.utterance)}" for turn in added[:MAX_LISTED]]
        if len(added) > MAX_LISTED:
            lines.append(f"  • and {len(added) - MAX_LISTED} more")
        listing = "\n".join([f"{_counted(len(added))} came after it:", *lines])
        yield Difference(kind="turns", sentence=listing)


def _aligned(
    old: tuple[SnapshotTurn, ...], new: tuple[SnapshotTurn, ...]
) -> tuple[tuple[SnapshotTurn, ...], tuple[SnapshotTurn, ...]]:
    """Returns both from the same turn on: the beginning of a long conversation is not stored."""
    if old and new:
        for place, turn in enumerate(old):
            if _is_same(turn, new[0]):
                return old[place:], new
        for place, turn in enumerate(new):
            if _is_same(turn, old[0]):
                return old, new[place:]
    return old, new


def _referents(before: State, after: State) -> Iterator[Difference]:
    if _id(before.render) != _id(after.render):
        then, today = _named(before.render), _named(after.render)
        yield Difference(kind="video", sentence=f"“It” meant {then}, and means {today} now.")
    if _id(before.project) != _id(after.project):
        then, today = _named(before.project), _named(after.project)
        yield Difference(kind="project", sentence=f"The project was {then}, and is {today} now.")
    if before.persona_id != after.persona_id:
        then, today = before.persona_id or "nobody", after.persona_id or "nobody"
        yield Difference(kind="persona", sentence=f"It was held with {then}, and is held with {today} now.")


def _state(then: Referent | None, now: Referent | None) -> Iterator[Difference]:
    if then is None or then.state is None:
        return
    if now is None:
        yield Difference(kind="video_state", sentence=f"“{then.title}” was {then.state}, and is deleted now.")
    elif now.state != then.state:
        sentence = f"“{then.title}” was {then.state}, and is {now.state} now."
        yield Difference(kind="video_state", sentence=sentence)


def _is_same(one: SnapshotTurn, other: SnapshotTurn) -> bool:
    return (one.started_at, one.utterance) == (other.started_at, other.utterance)


def _counted(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LISTED_CHARS else f"{line[:LISTED_CHARS]}…"


def _id(referent: Referent | None) -> str | None:
    return None if referent is None else referent.id


def _named(referent: Referent | None) -> str:
    return "nothing" if referent is None else f"“{referent.title}”"
