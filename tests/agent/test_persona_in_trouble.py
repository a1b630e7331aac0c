"""The file of a persona breaks or goes while somebody talks with it: the answer says so, or is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from brain_answers import answer
from conversing import failure
from model_talk import QUESTION
from scripted_model import Say, scripted_model

from agent.events import BrainEvent, Text
from agent.sessions.service import Conversation
from app.composition import Services, open_services
from policy import Principal
from soundstage.settings import Settings

ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")
BROKEN = "id: nova\nname: [Nova\n"


@pytest.fixture
def file(settings: Settings) -> Path:
    assert settings.personas_dir is not None
    return settings.personas_dir / "nova.yaml"


def write(file: Path, content: str | None) -> None:
    file.unlink() if content is None else file.write_text(content)


async def say(services: Services, conversation: Conversation, sentence: str) -> list[BrainEvent]:
    return await answer(services.brain, conversation, sentence)


def text(events: Sequence[BrainEvent]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Text))


async def test_a_file_that_breaks_leaves_the_last_good_one_in_the_conversation(
    services: Services, file: Path
) -> None:
    held = await services.brain.sessions.open(ADA, persona_id="nova")
    assert "no videos" in text(await say(services, held, "list my videos"))
    write(file, BROKEN)
    assert "no videos" in text(await say(services, held, "list my videos"))
    assert "line" in str(services.studio.library.status("nova").error), "whoever asks is told of the file"


async def test_a_file_that_is_gone_is_named_and_the_turn_has_its_end(services: Services, file: Path) -> None:
    held = await services.brain.sessions.open(ADA, persona_id="nova")
    await say(services, held, "list my videos")
    write(file, None)
    events = await say(services, held, "list my videos")
    assert failure(events).code == "persona.not_found" and events[-1].type == "done"
    last = (await services.brain.sessions.turns(ADA, held.id))[-1]
    assert (last.state, last.error_code) == ("failed", "persona.not_found")
    without = await services.brain.sessions.open(ADA)
    assert "no videos" in text(await say(services, without, "list my videos"))


@pytest.mark.parametrize(("content", "code"), [(None, "persona.not_found"), (BROKEN, "persona.bad_file")])
async def test_a_model_does_not_speak_as_somebody_that_there_is_not(
    settings: Settings, file: Path, content: str | None, code: str
) -> None:
    async with scripted_model(Say("I am Nova.")) as model:
        local = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": local}})
        async with open_services(chosen) as services:
            held = await services.brain.sessions.open(ADA, persona_id="nova")
        write(file, content)
        # Another process, which has never seen the file when it was right.
        async with open_services(chosen) as services:
            again = await services.brain.sessions.open(ADA, held.id)
            events = await say(services, again, QUESTION)
        assert code in [getattr(event, "code", None) for event in events]
        assert model.asked == []
