"""Scores the ways to understand over the cases: `python -m bench.nlu_evaluation --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from agent.model.openai_server import build_servers
from agent.understanding import Grammar
from agent.understanding.corpus import read_corpus
from agent.understanding.trained import load_reader
from bench.nlu_evaluation.cases import Case, Half, Turn, read_cases
from bench.nlu_evaluation.compare import plain
from bench.nlu_evaluation.scoring import OUTCOMES, Answer, Score, Verdict, judge
from bench.nlu_evaluation.ways import GrammarWay, ModelWay, ReaderWay, Way
from soundstage.http.destinations import OwnListeners
from soundstage.settings.load import load_settings

Report = Callable[[Case, Turn, Answer, Verdict], None]
SHORT = ("not in the corpus", "language en", "language de")
LISTED = ("turns", *OUTCOMES, "forbidden")


@cache
def corpus_sentences() -> frozenset[str]:
    """Returns the sentences of the corpus, as they are compared with the cases."""
    return frozenset(plain(one.text) for one in read_corpus().examples)


def run(way: Way, cases: Sequence[Case], *, own_state: bool = False, report: Report | None = None) -> Score:
    """Returns the score. The state after each turn comes from the wanted calls, or with `own_state` from what
    was decided.
    """
    score = Score(corpus_sentences())
    for case in cases:
        way.begin()
        for before, turn in zip((None, *case.turns), case.turns, strict=False):
            answer = way.answer(turn.say)
            if before is not None and turn.want == "confirm" and judge(before, answer).outcome == "right":
                # In its own state it asked first, and now does what was wanted before.
                answer = replace(answer, decision="confirm")
            verdict = judge(turn, answer)
            score.add(case, turn, answer, verdict)
            if report is not None:
                report(case, turn, answer, verdict)
            if not own_state:
                way.correct(turn)
    return score


def run_way(
    way: Way, cases: Sequence[Case], halves: Sequence[Half], report: Report | None = None
) -> Iterator[tuple[str, Score]]:
    """Yields the score of each half, and of its dialogues with their own state."""
    for half in halves:
        some = [case for case in cases if case.half == half]
        yield half, run(way, some, report=report if half == "dev" else None)
        dialogues = [case for case in some if len(case.turns) > 1]
        if dialogues and not isinstance(way, GrammarWay):
            yield f"{half}, dialogues in their own state", run(way, dialogues, own_state=True)


def print_table(title: str, score: Score, *, groups: bool) -> None:
    print(f"\n{title}")
    print(f"{'':28}" + "".join(f"{name:>14}" for name in LISTED))
    order = sorted(score.groups, key=lambda name: (name != "all", name))
    for group in order if groups else [name for name in order if name in ("all", *SHORT)]:
        figures = score.figures(group)
        print(f"{group:28}" + "".join(f"{figures[name]:>14}" for name in LISTED))
    figures = score.figures()
    if figures.get("plans"):
        print(f"steps of plans right: {figures['steps right']:.0f} of {figures['plans']:.0f}")
    seconds = score.as_json()["seconds"]
    print(f"seconds p50 {seconds['p50']}, p95 {seconds['p95']}; tokens {score.tokens}")


def shower(outcomes: Sequence[str]) -> Report:
    """Returns a report that prints turns with one of the outcomes; `wrong` stands for all that begin so."""

    def show(case: Case, turn: Turn, answer: Answer, verdict: Verdict) -> None:
        shown = any(verdict.outcome.startswith(one) for one in outcomes) or (
            "forbidden" in outcomes and verdict.forbidden
        )
        if case.half == "dev" and shown:
            calls = [(call.intent, dict(call.arguments)) for call in answer.calls]
            print(f"{verdict.outcome}{', forbidden' * verdict.forbidden} | {case.id} | {turn.say!r}")
            print(f"    wanted {turn.want}\n    found {answer.decision} {calls}")

    return show


def ways_of(names: Sequence[str]) -> Iterator[Way]:
    """Yields the ways with these names; without names, all that can be asked."""
    grammar = Grammar.load()
    if not names or "grammar" in names:
        yield GrammarWay()
    reader = load_reader(train=True) if not names or {"reader", "reader alone"} & set(names) else None
    if reader is not None and (not names or "reader" in names):
        yield ReaderWay(reader, grammar)
    if "encoder" in names and (both := load_reader(train=True, encoder=True)) is not None:
        yield ReaderWay(both, grammar)
    if reader is not None and "reader alone" in names:
        yield ReaderWay(reader)
    if not names or set(names) - {"grammar", "reader", "reader alone", "encoder"}:
        for _, server in build_servers(load_settings().llm, listeners=OwnListeners()):
            if not names or server.name in names:
                yield ModelWay(server, reader or load_reader(train=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/eval", description=__doc__)
    parser.add_argument("--half", choices=["dev", "test", "both"], default="both")
    parser.add_argument(
        "--way",
        action="append",
        default=[],
        help="grammar, reader, reader alone, encoder, or a model of the settings: local, cloud",
    )
    parser.add_argument(
        "--show", default="", help="outcomes whose sentences are printed, such as wrong,forbidden"
    )
    parser.add_argument("--kind", help="only cases of this kind")
    parser.add_argument("--most", type=int, help="only so many cases of each half: models take their time")
    parser.add_argument("--short", action="store_true", help="only the line of all turns")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, too; - prints them")
    options = parser.parse_args(arguments)
    if options.show and options.half == "test":
        parser.error("The sentences of the test half stay unread: --show prints those of the dev half only.")
    halves: list[Half] = ["dev", "test"] if options.half == "both" else [options.half]
    cases = [case for case in read_cases() if options.kind in (None, case.kind)]
    if options.most:
        cases = [
            case for half in halves for case in [one for one in cases if one.half == half][: options.most]
        ]
    report = shower(options.show.split(",")) if options.show else None
    figures: dict[str, Any] = {}
    for way in ways_of(options.way):
        for title, score in run_way(way, cases, halves, report):
            figures.setdefault(way.name, {})[title] = score.as_json()
            if options.json != "-":
                print_table(f"{way.name}, {title}", score, groups=not options.short)
    if options.json == "-":
        json.dump(figures, sys.stdout, indent=1)
    elif options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
