"""Reads dialogues, sets up what exists before them, and compares what exists after them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from approval_stage import approvals_of
from avatar.spec import Canvas
from dialogue_farm import FarmDouble, farm_double
from sqlalchemy import select, update

from agent.approvals.models import Approval
from agent.colours import COLOURS
from agent.memory.models import Memory
from agent.snapshots.models import Snapshot
from agent.triggers.models import Trigger
from app.composition import Services, open_services
from policy import Principal
from soundstage.database import utcnow
from soundstage.settings import Settings
from studio.projects.schemas import ProjectDraft
from studio.publishing.models import Account, Publication
from studio.renders.models import Render, RenderOutput
from studio.renders.schemas import RenderRequest
from studio.scenes.schemas import SceneDraft

FOLDER = Path(__file__).with_name("dialogues")
PERSONAS = Path(__file__).parents[2] / "personas"
BOB = Principal("key_bob", "Bob", "admin", "session")
"""Agrees to what waits, where a turn says so."""

State = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """`answer`: what the person says when the answer is a question with choices. `approved`: somebody else
    agrees then to all that waits.
    """

    say: str
    answer: str | None = None
    approved: bool = False


@dataclass(frozen=True)
class Dialogue:
    """`open`: why it does not end in the expected state yet."""

    name: str
    turns: tuple[Turn, ...]
    expected: Mapping[str, Any]
    world: Mapping[str, Any]
    open: str = ""


@cache
def read_dialogues() -> tuple[Dialogue, ...]:
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.yaml")))


def _read(path: Path) -> Dialogue:
    found = yaml.safe_load(path.read_text())
    turns = tuple(Turn(**turn) for turn in found.pop("turns"))
    return Dialogue(path.stem, turns, world=found.pop("world", {}), **found)


@dataclass
class Stage:
    services: Services
    farm: FarmDouble

    async def approve(self) -> None:
        decisions = self.services.decisions
        for one in await approvals_of(decisions.approvals, BOB):
            if one.state == "pending":
                await decisions.vote(one.id, BOB, agrees=True)
        await decisions.run_approved()

    async def state(self) -> State:
        """Returns what exists, without videos that were cancelled."""
        async with self.services.database.session() as session:
            renders = list((await session.scalars(select(Render).order_by(Render.created_at))).all())
            memories = [one.text for one in await session.scalars(select(Memory))]
            snapshots = [one.name for one in await session.scalars(select(Snapshot))]
            triggers = list((await session.scalars(select(Trigger))).all())
            approvals = list((await session.scalars(select(Approval))).all())
            publications = list((await session.scalars(select(Publication))).all())
        projects = await self._projects()
        titles = {one["id"]: one["title"] for one in projects}
        names = {one.id: one.title for one in renders}
        return {
            "projects": projects,
            "renders": [_render(one, titles) for one in renders if one.state != "cancelled"],
            "memories": memories,
            "snapshots": snapshots,
            "triggers": [
                {"tools": [call["tool"] for call in one.calls], "state": one.state}
                for one in triggers
                if one.state not in ("cancelled", "failed")
            ],
            "approvals": [
                {
                    "tool": one.tool,
                    **one.arguments,
                    "render": names.get(one.arguments.get("render", "")),
                }
                for one in approvals
                if one.state == "pending"
            ],
            "publications": [{"title": names.get(one.render_id or ""), **one.wishes} for one in publications],
            "machines": self.farm.states,
        }

    async def _projects(self) -> list[State]:
        studio = self.services.tool_services.studio
        return [
            {
                "id": one.id,
                "title": one.title,
                "shape": _shape(one.canvas.width, one.canvas.height),
                "scenes": [
                    {"persona": scene.persona or one.persona, "script": scene.script}
                    for scene in await studio.scenes.list(one.id)
                ],
            }
            for one in await studio.projects.list()
        ]


def _render(row: Render, titles: Mapping[str, str]) -> State:
    canvas = row.spec["canvas"]
    scenes = row.spec["scenes"]
    background = scenes[0]["background"]
    return {
        "id": row.id,
        "title": row.title,
        "state": row.state,
        "project": titles.get(row.project_id or ""),
        "persona": row.personas[0] if row.personas else None,
        "script": " ".join(one["script"] for one in scenes),
        "shape": _shape(canvas["width"], canvas["height"]),
        "quality": f"{min(canvas['width'], canvas['height'])}p",
        "background": background.get("colour") or background["kind"],
    }


def _shape(width: int, height: int) -> str:
    return "square" if width == height else "landscape" if width > height else "vertical"


def differences(expected: Mapping[str, Any], found: State) -> list[str]:
    """Returns what is not as expected. A kind that is not named must be empty; machines must be ready."""
    expected = {"machines": dict.fromkeys(found["machines"], "ready"), **expected}
    output = []
    for kind, things in found.items():
        needed = expected.get(kind, [])
        if not _same(needed, things):
            output.append(f"{kind}: expected {needed}, found {things}")
    return output


def _same(expected: Any, found: Any) -> bool:
    """Returns whether all that is named of `expected` is so; lists of equal length, in any order unless they
    are scenes.
    """
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and all(
            _in_order(value, found.get(key))
            if key in ("scenes", "tools")
            else _same(COLOURS.get(value, value) if key == "background" else value, found.get(key))
            for key, value in expected.items()
        )
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        left = list(found or ())
        for one in expected:
            match = next((other for other in left if _same(one, other)), None)
            if match is None:
                return False
            left.remove(match)
        return not left
    return _plain(expected) == _plain(found)


def _in_order(expected: Sequence[Any], found: Any) -> bool:
    return len(expected) == len(found or ()) and all(map(_same, expected, found))


def _plain(text: Any) -> str:
    """Without capitals, signs and spaces at the ends, which a script may gain or lose."""
    return re.sub(r"\W+", " ", str(text)).strip().casefold()


@asynccontextmanager
async def open_stage(dialogue: Dialogue, folder: Path) -> AsyncIterator[Stage]:
    """An installation that holds the dialogue's world."""
    with farm_double(dialogue.world.get("machines", ())) as farm:
        key = folder / "machines.key"
        key.write_text("a-key")
        settings = Settings.model_validate(
            {
                "state_dir": folder / "state",
                "out_dir": folder / "out",
                "personas_dir": PERSONAS,
                "provisioning": {"api_url": farm.url, "api_key_file": key},
                "farm": {"nomad": {"address": farm.url}},
                "youtube": {"client_id": "a-client"},
            }
        )
        async with open_services(settings) as services:
            assert services.brain.reader is not None, "run python -m agent.understanding.trained"
            await _set_up(services, dialogue.world)
            yield Stage(services, farm)


async def _set_up(services: Services, world: Mapping[str, Any]) -> None:
    for project in world.get("projects", ()):
        view = await services.studio.projects.create(ProjectDraft(title=project["title"]))
        for scene in project["scenes"]:
            await services.studio.scenes.create(view.id, SceneDraft(**scene))
    for render in world.get("renders", ()):
        await _add_render(services, **render)
    if world.get("channel"):
        async with services.database.transaction() as session:
            session.add(
                Account(
                    channel_id="UCours",
                    title="Our channel",
                    connected_by="test",
                    refresh_token_sealed="-",
                    access_token_sealed="-",
                    access_expires_at=utcnow(),
                )
            )


async def _add_render(services: Services, *, state: str, **request: str) -> None:
    view = await services.studio.renders.create(
        RenderRequest(**request, canvas=Canvas()), requested_by="test"
    )
    changed: State = {"state": state}
    async with services.database.transaction() as session:
        if state == "failed":
            changed["error"] = {"code": "worker.died", "message": "The worker ended.", "hint": "Try again."}
        if state == "done":
            changed["duration_ms"] = 900
            session.add(
                RenderOutput(
                    render_id=view.id,
                    role="video",
                    name="video.mp4",
                    sha256=f"sha256:{'0' * 64}",
                    bytes=3 << 20,
                    media_type="video/mp4",
                )
            )
        await session.execute(update(Render).where(Render.id == view.id).values(**changed))
