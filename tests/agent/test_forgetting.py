"""What is forgotten is gone from every table and from the file, and the audit chain stays whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conversing import Conversing, failure
from scripted_model import Call, Say, scripted_model
from sentences import SentenceSnapshot
from sqlalchemy import select

from agent.forgetting.redaction import Redaction
from agent.memory.service import Owner
from app.composition import Services, open_services
from policy import Principal
from policy.audit.redactable import FORGOTTEN
from soundstage.database import Base
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.settings import Settings

ADA = Principal(id="key_ada", name="Ada", role="editor", kind="key")
BOB = Principal(id="key_bob", name="Bob", role="editor", kind="key")
SECRET = "the wedding of Walburga Grübelstein is a surprise"


async def everything_kept(services: Services) -> dict[str, str]:
    """Every row of every table, as text."""
    found = {}
    with bypass_tenant_filter():
        async with services.database.session() as session:
            for table in Base.metadata.sorted_tables:
                rows = (await session.execute(select(table))).mappings().all()
                found[table.name] = "\n".join(str(dict(row)) for row in rows)
    return found


async def tables_with(services: Services, *words: str) -> list[str]:
    escaped = [json.dumps(word)[1:-1] for word in words]
    stored = await everything_kept(services)
    return [name for name, rows in stored.items() if any(word in rows for word in {*words, *escaped})]


async def files_with(services: Services, *words: str) -> list[str]:
    """The database's files that hold any of the words, after its connections are closed."""
    path = services.database.path
    assert path is not None
    await services.database.close()
    expected = [form.encode() for word in words for form in (word, json.dumps(word)[1:-1])]
    return [
        file.name
        for file in path.parent.glob(f"{path.name}*")
        if any(form in file.read_bytes() for form in expected)
    ]


async def test_nothing_in_the_database_says_it_any_more(
    services: Services, snapshot: SentenceSnapshot
) -> None:
    talk = Conversing(services, ADA)
    await talk.say(f"Remember that {SECRET}")
    await talk.say(f"Remember that {SECRET}")
    await talk.say("What do you remember?")
    await talk.say("Save this as spring")
    other = Conversing(services, ADA)
    await other.say("Load spring")
    await other.say("What do you know about the wedding?")
    assert set(await tables_with(services, "Walburga")) == {
        "agent_sessions", "agent_turns", "audit_lines", "continuations", "events", "memories", "snapshots",
    }  # fmt: skip

    reply = await other.told("Forget what I said about the wedding")

    assert SECRET in reply, "the person hears what is gone"
    assert await tables_with(services, "Walburga", "Grübelstein", "wedding of") == []
    assert (await services.audit.verify()).broken_at is None
    stored = await services.brain.sessions.turns(ADA, talk.session_id or "")
    assert [turn.utterance for turn in stored[:3]] == [FORGOTTEN, FORGOTTEN, "What do you remember?"]
    assert stored[2].reply == snapshot("remembered", text=FORGOTTEN)
    [last] = (await services.brain.sessions.turns(ADA, other.session_id or ""))[-1:]
    assert last.reply == snapshot("forgotten", text=FORGOTTEN)
    assert await files_with(services, "Walburga", "Grübelstein") == []


@pytest.mark.each_database
async def test_every_database_forgets(settings: Settings, database_url: str) -> None:
    chosen = Settings.model_validate(
        {**settings.model_dump(exclude={"database"}), "database": {"url": database_url}}
    )
    async with open_services(chosen) as services:
        talk = Conversing(services, ADA)
        await talk.say(f"Remember that {SECRET}")
        await talk.say("What do you remember?")
        await talk.say("Save this as spring")
        await talk.say("Load spring")
        await talk.say("Forget what I said about the wedding")
        assert await tables_with(services, "Walburga", "Grübelstein", "wedding of") == []
        assert (await services.audit.verify()).broken_at is None


async def test_the_file_has_it_no_longer_while_the_server_runs(services: Services) -> None:
    talk = Conversing(services, ADA)
    await talk.say(f"Remember that {SECRET}")
    [memory] = (await services.memory.export(Owner.of(ADA))).memories
    await services.memory.forget(Owner.of(ADA), [memory.id])
    path = services.database.path
    assert path is not None
    assert [file for file in path.parent.glob(f"{path.name}*") if b"Walburga" in file.read_bytes()] == []


async def test_somebody_else_s_words_and_other_words_stay(services: Services) -> None:
    ada, bob = Conversing(services, ADA), Conversing(services, BOB)
    await bob.say(f"Remember that {SECRET}")
    await ada.say(f"Remember that {SECRET}")
    await ada.say("Remember that the tide comes at noon")
    await ada.say("Forget what I said about the wedding")
    assert [memory.text for memory in (await services.memory.export(Owner.of(BOB))).memories] == [SECRET]
    [reply] = await services.brain.sessions.turns(BOB, bob.session_id or "")
    assert reply.utterance == f"Remember that {SECRET}"
    own = await services.brain.sessions.turns(ADA, ada.session_id or "")
    assert [turn.utterance for turn in own] == [
        FORGOTTEN, "Remember that the tide comes at noon", "Forget what I said about the wedding",
    ]  # fmt: skip
    lines = [line for line in await services.audit.read(0, 100) if line.kind == "utterance.said"]
    assert [line.data["text"] for line in lines] == [
        f"Remember that {SECRET}", FORGOTTEN, "Remember that the tide comes at noon",
        "Forget what I said about the wedding",
    ]  # fmt: skip


async def test_where_a_model_has_put_it_in_other_words_the_turn_is_forgotten_all_the_same(
    settings: Settings,
) -> None:
    request = "remember for me please: Walburga and I marry in May, psst"
    script = (
        Call("memory", {"action": "remember", "text": "Ada's wedding is in May"}),
        Say("So you and Walburga will marry, how nice!"),
        Call("memory", {"action": "recall"}),
        Say("I know something, and say nothing."),
    )
    async with scripted_model(*script) as model:
        local = {"base_url": model.base_url, "model": "scripted"}
        chosen = Settings.model_validate({**settings.model_dump(exclude={"llm"}), "llm": {"local": local}})
        async with open_services(chosen) as services:
            services.brain.reader = None
            talk = Conversing(services, ADA)
            await talk.say(request)
            await talk.say("so, is there anything on your mind, dear?")
            assert await services.memory.count(Owner.of(ADA)) == 1
            await services.memory.forget(Owner.of(ADA), None)
            assert await tables_with(services, "Walburga", "wedding", "marry") == []
            first, second = await services.brain.sessions.turns(ADA, talk.session_id or "")
            assert (first.utterance, first.reply) == (FORGOTTEN, FORGOTTEN)
            assert second.reply == "I know something, and say nothing."
            assert (await services.audit.verify()).broken_at is None


async def test_many_memories_are_forgotten_at_once(services: Services) -> None:
    for number in range(40):
        await services.memory.remember(Owner.of(ADA), f"Walburga {number} likes number {number}")
    talk = Conversing(services, ADA)
    await talk.say("What do you remember?")
    assert failure(await talk.say("Forget what I said about Walburga")).code == "memory.too_vague"
    assert await services.memory.forget(Owner.of(ADA), None) == 40
    assert await tables_with(services, "likes number") == []


def forgotten(*texts: str) -> Callable[[object], object]:
    return Redaction("default", "key_ada", texts).redact


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("I like tea", FORGOTTEN),
        ("you said: “I  LIKE tea”.", FORGOTTEN),
        ("I like teams", "I like teams"),
        ("first\n• I like tea\nlast", f"first\n{FORGOTTEN}\nlast"),
        ("I like\ntea", FORGOTTEN),
        ({"told": ["I like tea", 1, None]}, {"told": [FORGOTTEN, 1, None]}),
    ],
)
def test_words_are_found_as_words(said: object, left: object) -> None:
    assert forgotten("I like tea", "something else")(said) == left


def test_a_long_text_is_known_by_its_beginning() -> None:
    long = "word " * 100
    assert forgotten(long)(f"“{long[:210]}… (500 characters)") == FORGOTTEN
