"""A deletion whose name several things have a part of, or none has, is asked about with what it may mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversing import Conversing
from dialogue_stage import Dialogue, open_stage

from agent.answering.near_names import deletions_like, rivals
from agent.events import ApprovalRequested, Text
from agent.understanding.dialogue import CallRecord
from agent.understanding.world import Thing, World

WORLD = World(
    (
        Thing("project", "Lake tour", "prj_1"),
        Thing("scene", "Boats", parent="Lake tour", number=1),
        Thing("scene", "The lake at night", parent="Lake tour", number=2),
        Thing("render", "Lake clip", "rnd_1"),
        Thing("render", "Lakeside", "rnd_2"),
        Thing("render", "Harbour", "rnd_3"),
        Thing("persona", "Amina", "amina"),
    )
)
CLIP = CallRecord("cancel_render.delete", {"render": "Lake clip"})
STATE = {
    "projects": [{"title": "Lake tour", "scenes": [{"title": "Boats", "script": "Boats."}]}],
    "renders": [
        {"state": "done", "script": "The lake.", "title": "Lake clip"},
        {"state": "done", "script": "The pond.", "title": "Lakeside"},
    ],
}


def names(calls: list[CallRecord]) -> set[str]:
    return {str(one.arguments.get("scene") or next(iter(one.arguments.values()))) for one in calls}


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("delete the lake", {"Lake tour", "The lake at night", "Lakeside"}),
        ("delete lakes", {"Lake tour", "The lake at night", "Lakeside"}),
        ("delete the lake video", {"Lakeside"}),
        ("delete Lake clip", set()),
        ("delete it", set()),
    ],
)
def test_what_else_has_the_words_of_a_name(text: str, others: set[str]) -> None:
    assert names(rivals(CLIP, text, WORLD)) == others


def test_only_what_is_called_nearly_so_is_like_an_unknown_name() -> None:
    assert names(deletions_like("lake", "delete lake", WORLD)) == {
        "Lake tour", "The lake at night", "Lake clip", "Lakeside",
    }  # fmt: skip
    assert names(deletions_like("lake", "delete the lake project", WORLD)) == {"Lake tour"}
    assert deletions_like("canteen", "delete canteen", WORLD) == []


@pytest.mark.parametrize(
    ("text", "answer", "title"),
    [
        ("delete the lake", "lake clip", "“Lake clip”"),
        ("delete Lake", "the project", "“Lake tour”"),
        ("lösche Lake", "das Projekt", "“Lake tour”"),
        ("remove the lake", "Lakeside", "“Lakeside”"),
    ],
)
async def test_the_answer_says_which(tmp_path: Path, text: str, answer: str, title: str) -> None:
    async with open_stage(Dialogue("near", (), {}, STATE), tmp_path) as stage:
        talk = Conversing(stage.services)
        texts = [event for event in await talk.say(text) if isinstance(event, Text)]
        assert len(texts[-1].choices) == 3, texts
        waits = [event for event in await talk.say(answer) if isinstance(event, ApprovalRequested)]
        assert len(waits) == 1
        [approval] = await stage.services.decisions.approvals.list_waiting(talk.principal)
        assert title in approval.plan.changes[0].where
