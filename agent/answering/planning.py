"""Turns the steps of a plan into calls: those of now, and one that sets the triggers; and words the plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.answering.calls import change_project_first, prepare_record, words_of
from agent.answering.replies import Replies
from agent.tools.toolset import Toolset
from agent.tools.triggers import check_plannable
from agent.understanding.dialogue import CallRecord
from agent.understanding.plans import LATEST, PREVIOUS, Step
from agent.understanding.when import DAYS, Condition
from agent.understanding.world import World, fold
from policy import Principal

CREATE = "triggers.create"


def calls_of(
    steps: Sequence[Step], toolset: Toolset, principal: Principal, world: World, replies: Replies
) -> tuple[CallRecord, ...]:
    """Returns the calls that carry out a plan. Raises for a step that may not be planned, or not by them."""
    calls: list[CallRecord] = []
    later: list[dict[str, Any]] = []
    for step in steps:
        parts = [part for call in step.calls for part in change_project_first(call)]
        if step.condition.kind == "now":
            calls += parts
            continue
        prepared = [prepare_record(toolset, call, world) for call in parts]
        for call in prepared:
            check_plannable(principal, call)
        stored = [
            {"tool": call.tool.name, "arguments": call.request.model_dump(mode="json", exclude_unset=True)}
            for call in prepared
        ]
        text = words_of_step(step, world, replies)
        later.append({"when": when_of(step.condition, world), "calls": stored, "text": text})
    return (*calls, CallRecord(CREATE, {"steps": later}))


def words_of_plan(steps: Sequence[Step], world: World, replies: Replies) -> str:
    """Returns the plan with the question whether it shall be done."""
    lines = [words_of_step(step, world, replies) for step in steps]
    if len(lines) == 1:
        return replies.text("ask", "plan_one", step=lines[0])
    numbered = "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))
    return replies.text("ask", "plan", steps=numbered)


def words_of_step(step: Step, world: World, replies: Replies) -> str:
    """Returns when calls are made, and what they do: “On Friday 27 November at 12:00: Publish …”."""
    done = ", ".join(words_of(call, world, replies) for call in step.calls)
    return f"{words_of_condition(step.condition, world, replies)}: {done}"


def words_of_condition(condition: Condition, world: World, replies: Replies) -> str:
    """Returns a condition in words."""
    if condition.kind == "now":
        return replies.text("when", "now")
    if condition.at is not None:
        at = replies.time(condition.at)
        return at[:1].upper() + at[1:]
    if condition.every is not None:
        group: str = "weekdays" if condition.days == DAYS[:5] else condition.every
        days = ", ".join(replies.text("weekdays", day) for day in condition.days)
        return replies.text("when", group, days=days, clock=condition.clock)
    named = {thing.id: thing.name for thing in world.things if thing.id and thing.name}
    name = named.get(condition.name, condition.name)
    group = f"{condition.of}_{condition.becomes}"
    if name in (LATEST, PREVIOUS):
        return replies.text("when", f"that_{group}")
    return replies.text("when", group, name=name)


def with_words_of_now(call: CallRecord, world: World, replies: Replies) -> CallRecord:
    """Returns a call that plans, whose times were changed, with words for the times of now."""
    if call.intent != CREATE:
        return call
    steps = []
    for step in call.arguments["steps"]:
        when, done = step["when"], str(step["text"]).partition(": ")[2]
        at = datetime.fromisoformat(str(when["at"])).replace(tzinfo=None) if when.get("at") else None
        if any(one["arguments"].get("publish_at") for one in step["calls"]):
            done = "; ".join(
                words_of(CallRecord.of(one["tool"], one["arguments"]), world, replies)
                for one in step["calls"]
            )
            step = {**step, "text": f"{str(step['text']).partition(': ')[0]}: {done}"}
        if done and (at or when.get("every")):
            days, clock = tuple(when.get("days", ())), str(when.get("time", ""))
            condition = Condition("repeat", at=at, every=when.get("every"), days=days, clock=clock)
            step = {**step, "text": f"{words_of_condition(condition, world, replies)}: {done}"}
        steps.append(step)
    return CallRecord(CREATE, {**call.arguments, "steps": steps})


def when_of(condition: Condition, world: World) -> dict[str, Any]:
    """Returns a condition as the tool takes it, with the id of a video in place of its name."""
    if condition.at is not None:
        return {"at": local(condition.at).isoformat()}
    if condition.every is not None:
        found: dict[str, Any] = {"every": condition.every}
        if condition.every != "hour":
            found["time"] = condition.clock
        return {**found, "days": list(condition.days)} if condition.days else found
    named = [one for one in world.of_kind("render") if fold(one.name) == fold(condition.name)]
    name = named[0].id if condition.of == "render" and named else condition.name
    return {"of": condition.of, "name": name or LATEST, "becomes": condition.becomes}


def local(at: datetime) -> datetime:
    """Returns a time of the wall clock with the zone of this machine."""
    return at.astimezone() if at.tzinfo is None else at
