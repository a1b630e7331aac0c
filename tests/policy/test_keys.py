from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from policy import Policy, Principal
from policy.keys import KeyService, KeyState
from policy.keys.models import ApiKeyRow
from policy.keys.schemas import CreatedKey, KeyRequest
from policy.keys.states import TRANSITIONS, move, state_at
from soundstage.database import Base, Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound
from soundstage.events import EventStore

pytestmark = pytest.mark.each_database

MakeKey = Callable[..., Awaitable[CreatedKey]]
ADMIN = Principal.local_admin()


@pytest.fixture
def keys(policy: Policy) -> KeyService:
    return policy.keys


async def who(policy: Policy, key: str) -> Principal | None:
    async with policy.db.session() as session:
        return await policy.keys.identify(session, key)


async def test_a_key_is_64_hex_digits_and_only_its_hash_is_stored(policy: Policy, make_key: MakeKey) -> None:
    created = await make_key("editor")
    assert re.fullmatch("[0-9a-f]{64}", created.key)
    stored = await everything_in(policy.db)
    assert hashlib.sha256(created.key.encode()).hexdigest().encode() in stored
    assert created.key.encode() not in stored


async def everything_in(db: Database) -> bytes:
    """All bytes of the database: its files, or every row of every table where it is elsewhere."""
    if db.path is not None:
        await db.close()
        return b"".join(path.read_bytes() for path in db.path.parent.rglob("*") if path.is_file())
    with bypass_tenant_filter():
        async with db.session() as session:
            tables = Base.metadata.sorted_tables
            rows = [row for table in tables for row in await session.execute(select(table))]
    return repr(rows).encode()


async def test_a_key_is_known_by_its_role_and_scopes(policy: Policy, make_key: MakeKey) -> None:
    created = await make_key("editor", scopes=["render:*"])
    principal = await who(policy, created.key)
    assert principal == Principal(created.id, "a test", "editor", "key", ("render:*",))
    for wrong in (
        created.key[:-1],
        created.key.upper(),
        "",
        "x" * 64,
        created.id,
        hashlib.sha256(created.key.encode()).hexdigest(),
    ):
        assert await who(policy, wrong) is None


async def test_listing_shows_everything_but_the_key(
    policy: Policy, make_key: MakeKey, keys: KeyService
) -> None:
    first, second = await make_key("viewer"), await make_key("editor", scopes=["render:read"])
    async with policy.db.session() as session:
        listed = await keys.list(session, ADMIN)
        one = await keys.get(session, second.id, ADMIN)
    assert [view.id for view in listed] == [first.id, second.id]
    assert listed[1] == one
    assert first.key not in str([view.model_dump() for view in listed])
    assert (one.state, one.created_by, one.scopes) == (KeyState.ACTIVE, "local:cli", ["render:read"])


async def test_a_key_that_does_not_exist_is_not_found(policy: Policy, keys: KeyService) -> None:
    async with policy.db.transaction() as session:
        for verb in (
            keys.get(session, "key_x", ADMIN),
            keys.rotate(session, "key_x", ADMIN),
            keys.revoke(session, "x", ADMIN),
        ):
            with pytest.raises(NotFound) as error:
                await verb
            assert error.value.code == "key.not_found"


async def test_an_expired_key_opens_nothing(policy: Policy, make_key: MakeKey, keys: KeyService) -> None:
    created = await make_key("viewer", expires_at=utcnow() + timedelta(hours=1))
    assert await who(policy, created.key) is not None
    async with policy.db.transaction() as session:
        (await session.get_one(ApiKeyRow, created.id)).expires_at = utcnow()
    assert await who(policy, created.key) is None
    async with policy.db.session() as session:
        assert (await keys.get(session, created.id, ADMIN)).state is KeyState.EXPIRED
        assert await keys.by_id(session, created.id) is None


async def test_a_key_cannot_be_made_for_the_past(make_key: MakeKey) -> None:
    with pytest.raises(Invalid) as error:
        await make_key("viewer", expires_at=utcnow() - timedelta(seconds=1))
    assert error.value.code == "key.expires_in_the_past"


async def test_a_revoked_key_opens_nothing_from_then_on(
    policy: Policy, make_key: MakeKey, keys: KeyService
) -> None:
    created = await make_key("viewer")
    async with policy.db.transaction() as session:
        view = await keys.revoke(session, created.id, ADMIN)
        again = await keys.revoke(session, created.id, ADMIN)
    assert view.state is again.state is KeyState.REVOKED
    assert await who(policy, created.key) is None


async def test_a_rotated_key_works_on_for_the_overlap_beside_its_successor(
    policy: Policy, make_key: MakeKey, keys: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await make_key("editor", scopes=["render:*"])
    async with policy.db.transaction() as session:
        new = await keys.rotate(session, old.id, ADMIN, timedelta(hours=4))
    assert new.key != old.key
    for key in (old.key, new.key):
        principal = await who(policy, key)
        assert principal is not None and (principal.role, principal.scopes) == ("editor", ("render:*",))
    async with policy.db.session() as session:
        before = await keys.get(session, old.id, ADMIN)
    assert (before.state, before.replaced_by) == (KeyState.SUPERSEDED, new.id)
    monkeypatch.setattr("policy.keys.service.utcnow", lambda: utcnow() + timedelta(hours=4))
    assert await who(policy, old.key) is None
    assert await who(policy, new.key) is not None


async def test_rotating_without_overlap_ends_the_old_key_at_once(
    policy: Policy, make_key: MakeKey, keys: KeyService
) -> None:
    old = await make_key("viewer")
    async with policy.db.transaction() as session:
        await keys.rotate(session, old.id, ADMIN, timedelta(0))
    assert await who(policy, old.key) is None


async def test_rotating_does_not_prolong_a_life(policy: Policy, make_key: MakeKey, keys: KeyService) -> None:
    end = utcnow() + timedelta(hours=1)
    old = await make_key("viewer", expires_at=end)
    async with policy.db.transaction() as session:
        new = await keys.rotate(session, old.id, ADMIN, timedelta(days=30))
        assert (await keys.get(session, old.id, ADMIN)).expires_at == end
    assert new.expires_at == end


async def test_a_key_that_has_ended_cannot_be_rotated(
    policy: Policy, make_key: MakeKey, keys: KeyService
) -> None:
    ended = await make_key("viewer")
    rotated = await make_key("viewer")
    async with policy.db.transaction() as session:
        await keys.revoke(session, ended.id, ADMIN)
        await keys.rotate(session, rotated.id, ADMIN)
        for key in (ended, rotated):
            with pytest.raises(Conflict) as error:
                await keys.rotate(session, key.id, ADMIN)
            assert error.value.code == "key.wrong_state"


async def test_nobody_gives_away_more_than_they_have(
    policy: Policy, make_key: MakeKey, keys: KeyService
) -> None:
    admin_key = await make_key("admin")
    opener = Principal("k", "n", "a2a-admin", "key")
    scoped = Principal("k", "n", "admin", "key", scopes=("key:*", "render:read"))
    async with policy.db.transaction() as session:
        created = await keys.create(session, KeyRequest(name="ok", role="operator"), opener)
        assert created.role == "operator"
        for by, request in (
            (opener, KeyRequest(name="x", role="admin")),
            (scoped, KeyRequest(name="x", role="viewer")),
            (scoped, KeyRequest(name="x", role="admin", scopes=["render:*"])),
        ):
            with pytest.raises(Forbidden) as error:
                await keys.create(session, request, by)
            assert error.value.code == "key.escalation"
        assert (
            await keys.create(session, KeyRequest(name="x", role="admin", scopes=["render:read"]), scoped)
        ).key
        # Rotating hands out a key, and revoking takes one away from somebody mightier.
        for verb in (keys.rotate(session, admin_key.id, opener), keys.revoke(session, admin_key.id, opener)):
            with pytest.raises(Forbidden):
                await verb


@pytest.mark.parametrize("fields", [{"role": "root"}, {"role": "viewer", "scopes": ["render:fly"]}])
async def test_roles_and_scopes_that_do_not_exist_are_refused(
    make_key: MakeKey, fields: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        await make_key(**fields)


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "\x1b[31mred", "x" * 101])
def test_a_name_is_one_printable_line(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        KeyRequest(name=name)


async def test_every_change_of_a_key_is_an_event_without_the_key(
    policy: Policy, make_key: MakeKey, keys: KeyService, events: EventStore
) -> None:
    created = await make_key("viewer")
    async with policy.db.transaction() as session:
        successor = await keys.rotate(session, created.id, ADMIN)
        await keys.revoke(session, created.id, ADMIN)
    sentence = await events.read("keys")
    assert [event.kind for event in sentence] == ["key.created", "key.created", "key.rotated", "key.revoked"]
    text = str([event.data for event in sentence])
    assert created.key not in text and successor.key not in text
    assert hashlib.sha256(created.key.encode()).hexdigest() not in text


async def test_the_first_start_makes_one_admin_key_and_no_later_one_does(policy: Policy) -> None:
    created = await policy.first_admin_key()
    assert created is not None and created.role == "admin"
    assert await policy.first_admin_key() is None
    async with policy.db.transaction() as session:
        await policy.keys.revoke(session, created.id, ADMIN)
    assert await policy.first_admin_key() is None


async def test_a_command_before_the_first_start_does_not_take_the_first_key_away(policy: Policy) -> None:
    """`make demo` reaches the studio with the key of this machine's user, in the same database."""
    async with policy.db.transaction() as session:
        await policy.keys.register_local(session, "5a" * 32)
    created = await policy.first_admin_key()
    assert created is not None and created.role == "admin"
    assert await policy.first_admin_key() is None


async def test_local_keys_of_machines_on_one_database_stand_beside_each_other(policy: Policy) -> None:
    first, second, newer = "5a" * 32, "5b" * 32, "5c" * 32

    async def good() -> list[str]:
        async with policy.db.session() as session:
            return [key for key in (first, second, newer) if await policy.keys.identify(session, key)]

    async def register(key: str, machine: str) -> None:
        async with policy.db.transaction() as session:
            await policy.keys.register_local(session, key, machine)

    await register(first, "one")
    await register(second, "two")
    assert await good() == [first, second]
    await register(newer, "two")
    assert await good() == [first, newer], "what a machine replaces ends"
    await register(second[::-1], "")
    assert await good() == [], "alone on its database, it has the only one"


async def test_two_first_starts_at_once_make_one_key(policy: Policy, settings: object) -> None:
    other_db = Database(str(policy.db.url))
    other = Policy.open(settings, other_db, EventStore(other_db))  # type: ignore[arg-type]
    created = await asyncio.gather(policy.first_admin_key(), other.first_admin_key())
    await other_db.close()
    assert len([key for key in created if key is not None]) == 1


async def test_keys_whose_hashes_are_configured_act_as_admin(db: Database, events: EventStore) -> None:
    plain = ["a plain key", "b" * 64]
    hashes = [hashlib.sha256(key.encode()).hexdigest() for key in plain]
    keys = KeyService(events, hashes, timedelta(0))
    async with db.transaction() as session:
        principals = [await keys.identify(session, key) for key in plain]
        assert all(found is not None and found.role == "admin" for found in principals)
        assert len({found.id for found in principals if found}) == 2
        for found, known in zip(principals, hashes, strict=True):
            assert found is not None and known not in found.id
            assert await keys.by_id(session, found.id) == found
        assert await keys.identify(session, hashes[0]) is None
        assert await keys.first_admin(session) is None
        # A hash that is taken out of the settings ends its sessions too.
        assert await KeyService(events, hashes[1:], timedelta(0)).by_id(session, principals[0].id) is None  # type: ignore[union-attr]


async def test_a_scrape_key_of_the_settings_reads_metrics_and_nothing_else(
    db: Database, events: EventStore
) -> None:
    scrape, admin = (hashlib.sha256(key.encode()).hexdigest() for key in ("scrape", "admin"))
    keys = KeyService(events, [admin], timedelta(0), [scrape, admin])
    async with db.transaction() as session:
        found = await keys.identify(session, "scrape")
        assert found is not None and found.permissions == {"metrics:read", "self:read"}
        assert not found.is_operator
        assert await keys.by_id(session, found.id) == found
        # In both lists it acts as admin, as before.
        assert (await keys.identify(session, "admin")).role == "admin"  # type: ignore[union-attr]
        # It does not count as an administrator: the first start still makes one.
        assert await KeyService(events, [], timedelta(0), [scrape]).first_admin(session) is not None


def test_the_table_of_states_has_no_way_back_from_an_end() -> None:
    assert set(TRANSITIONS) == set(KeyState)
    for ended in (KeyState.EXPIRED, KeyState.REVOKED):
        for expected in KeyState:
            with pytest.raises(Conflict):
                move(ended, expected)
    assert move(KeyState.ACTIVE, KeyState.SUPERSEDED) is KeyState.SUPERSEDED


def test_the_clock_ends_only_what_still_works() -> None:
    now = utcnow()
    assert state_at(KeyState.ACTIVE, now, now) is KeyState.EXPIRED
    assert state_at(KeyState.ACTIVE, now + timedelta(seconds=1), now) is KeyState.ACTIVE
    assert state_at(KeyState.SUPERSEDED, now, now) is KeyState.EXPIRED
    assert state_at(KeyState.REVOKED, now, now) is KeyState.REVOKED
    assert state_at(KeyState.ACTIVE, None, now) is KeyState.ACTIVE
