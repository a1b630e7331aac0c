"""The verbs of API keys; called by the routes, the CLI and the first start."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from policy.keys.models import ApiKeyRow, EndedLoginRow
from policy.keys.repository import KeyRepository, KnownKey
from policy.keys.schemas import CreatedKey, KeyRequest, KeyView
from policy.keys.states import USABLE, KeyState, move, state_at
from policy.permissions import check_pattern
from policy.principal import DEFAULT_TENANT, Principal
from policy.roles import role
from soundstage.database import new_id, utcnow
from soundstage.database.tenants import tenant_attribute
from soundstage.errors import Forbidden, Invalid, NotFound
from soundstage.events import EventStore
from soundstage.views import read_view

CONFIGURED = "configured:"
SCRAPE_SCOPES = ("metrics:read",)
STREAM = "keys"
LOCAL_KEY = "this machine"
"""The name of the key that the user of this machine reaches the server with."""
LOCAL_KEY_MAKER = Principal.local_admin(LOCAL_KEY).id
"""Marks that key: no other key gets this id."""


def key_not_found(key_id: str) -> NotFound:
    """No such key."""
    return NotFound(
        "key.not_found", f"There is no key with the id {key_id!r}.", "List them: `soundstage keys list`."
    )


def key_escalates(missing: list[str]) -> Forbidden:
    """Returns the error for a key that may do more than its creator."""
    return Forbidden(
        "key.escalation",
        f"The key would have rights that you have not: {', '.join(missing)}.",
        "Choose a lower role or narrower scopes.",
    )


def key_of_another_tenant(tenant: str) -> Forbidden:
    """Only the operator lets other tenants in."""
    return Forbidden(
        "key.other_tenant",
        f"You may not make a key for the tenant {tenant!r}.",
        "Leave `tenant` out: the key is of yours. Keys of others are made by an admin of the tenant default.",
    )


def key_in_the_past() -> Invalid:
    """An expiry that has passed."""
    return Invalid(
        "key.expires_in_the_past", "The key would have expired already.", "Choose a later `expires_at`."
    )


def hash_key(key: str) -> str:
    """Returns the digest that is stored of a key, as `printf %s KEY | sha256sum`; 256 random bits need no
    slow hash.
    """
    return hashlib.sha256(key.encode()).hexdigest()


class KeyService:
    """API keys in the database, and those whose hashes stand in the settings: they act as admin, or read the
    metrics and nothing else.
    """

    def __init__(
        self,
        events: EventStore,
        configured_hashes: Iterable[str],
        overlap: timedelta,
        scrape_hashes: Iterable[str] = (),
    ) -> None:
        self._events = events
        self._admins = tuple(configured_hashes)
        self._configured = {known: _scrape_principal(known) for known in scrape_hashes}
        # A hash in both lists acts as admin.
        self._configured |= {known: _configured_principal(known) for known in self._admins}
        self._overlap = overlap

    async def create(self, session: AsyncSession, request: KeyRequest, by: Principal) -> CreatedKey:
        """Makes a key with no more rights than `by` has; the key is in the answer and nowhere else, ever.

        It is of the tenant of `by`; the operator may name another.
        """
        tenant = by.tenant if request.tenant is None else request.tenant
        if tenant != by.tenant and not by.is_operator:
            raise key_of_another_tenant(tenant)
        _check_rights(request, by, tenant)
        if request.expires_at is not None and request.expires_at <= utcnow():
            raise key_in_the_past()
        return await self._make(session, request, by, tenant)

    async def first_admin(self, session: AsyncSession) -> CreatedKey | None:
        """An admin key when there has never been any but that of this machine's user, which commands make;
        None otherwise. The caller shows it once.

        Two processes that start together make one: the transaction holds the lock while it looks.
        """
        if self._admins or await KeyRepository(session).count(besides=LOCAL_KEY_MAKER):
            return None
        request = KeyRequest(name="first administrator", role="admin")
        return await self._make(session, request, Principal.local_admin("first start"), DEFAULT_TENANT)

    async def register(self, session: AsyncSession, created: CreatedKey) -> None:
        """The same key, just made in the database of another process of this installation; good here too."""
        row = ApiKeyRow(
            id=created.id,
            tenant=created.tenant,
            name=created.name,
            role=created.role,
            scopes=created.scopes,
            sha256=hash_key(created.key),
            state=KeyState.ACTIVE,
            created_at=created.created_at,
            created_by=created.created_by,
            expires_at=created.expires_at,
        )
        await KeyRepository(session).add(row)
        await self._events.append(session, STREAM, "key.created", {"id": row.id, "by": created.created_by})

    async def accepts_local(self, session: AsyncSession, key: str) -> bool:
        """Return whether `register_local` can use `key`: it is unknown, or the active local key."""
        row = await KeyRepository(session).by_hash(hash_key(key))
        return row is None or (row.created_by == LOCAL_KEY_MAKER and _state(row, utcnow()) is KeyState.ACTIVE)

    async def register_local(self, session: AsyncSession, key: str, machine: str = "") -> None:
        """Make `key` the only local key of its machine: an admin key that acts as the user of this machine.

        `machine` names it where machines share the database; empty: there is no other machine.
        """
        by = Principal.local_admin(LOCAL_KEY)
        name = f"{LOCAL_KEY} ({machine})" if machine else LOCAL_KEY
        repository = KeyRepository(session)
        for row in await repository.all(DEFAULT_TENANT):
            is_other = row.created_by == LOCAL_KEY_MAKER and row.sha256 != hash_key(key)
            is_ours = not machine or row.name == name
            if is_other and is_ours and _state(row, utcnow()) in USABLE:
                await self.revoke(session, row.id, by)
        if await repository.by_hash(hash_key(key)) is None:
            await self._make(session, KeyRequest(name=name, role="admin"), by, DEFAULT_TENANT, key)

    async def list(self, session: AsyncSession, by: Principal) -> list[KeyView]:
        """The keys of one's tenant, or of all for the operator; ended ones too, oldest first."""
        now = utcnow()
        tenant = None if by.is_operator else by.tenant
        return [_view(row, now) for row in await KeyRepository(session).all(tenant)]

    async def get(self, session: AsyncSession, key_id: str, by: Principal) -> KeyView:
        """One key; NotFound when there is none, or only in another tenant."""
        return _view(await self._row(session, key_id, by), utcnow())

    async def rotate(
        self, session: AsyncSession, key_id: str, by: Principal, overlap: timedelta | None = None
    ) -> CreatedKey:
        """Makes the successor of a key; the old one works on for `overlap`, for clients to change over."""
        row = await self._row(session, key_id, by)
        now = utcnow()
        request = KeyRequest(name=row.name, role=row.role, scopes=row.scopes, expires_at=row.expires_at)
        _check_rights(request, by, row.tenant)
        state = move(_state(row, now), KeyState.SUPERSEDED)
        created = await self._make(session, request, by, row.tenant)
        end = now + (self._overlap if overlap is None else overlap)
        row.state = state
        row.replaced_by = created.id
        row.expires_at = min(end, row.expires_at) if row.expires_at else end
        facts = {"id": row.id, "by": by.id, "to": created.id, **tenant_attribute(row.tenant)}
        await self._events.append(session, STREAM, "key.rotated", facts)
        return created

    async def revoke(self, session: AsyncSession, key_id: str, by: Principal) -> KeyView:
        """Revokes a key at once; twice is no error. Raises Forbidden for a key that may do more than the
        caller.
        """
        row = await self._row(session, key_id, by)
        now = utcnow()
        if _state(row, now) is not KeyState.REVOKED:
            _check_rights(KeyRequest(name=row.name, role=row.role, scopes=row.scopes), by, row.tenant)
            row.state = move(_state(row, now), KeyState.REVOKED)
            row.ended_at = now
            facts = {"id": row.id, "by": by.id, **tenant_attribute(row.tenant)}
            await self._events.append(session, STREAM, "key.revoked", facts)
        return _view(row, now)

    async def identify(self, session: AsyncSession, key: str) -> Principal | None:
        """Returns the principal of a key; None for one that is unknown, expired or revoked."""
        digest = hash_key(key)
        # Every hash is compared, in constant time, whichever matches.
        matches = [known for known in self._configured if hmac.compare_digest(known, digest)]
        if matches:
            return self._configured[matches[0]]
        row = await KeyRepository(session).by_hash(digest)
        if row is None or not hmac.compare_digest(row.sha256, digest):
            return None
        return _principal(row)

    async def usable_digests(self, session: AsyncSession) -> frozenset[str]:
        """The SHA-256 of every key that has not ended."""
        rows = await KeyRepository(session).all(None)
        now = utcnow()
        return frozenset({*self._configured, *(row.sha256 for row in rows if _state(row, now) in USABLE)})

    async def by_id(self, session: AsyncSession, key_id: str) -> Principal | None:
        """The principal of a session cookie; None when its key has ended since."""
        if key_id.startswith(CONFIGURED):
            return next((found for found in self._configured.values() if found.id == key_id), None)
        row = await KeyRepository(session).find(key_id)
        return None if row is None else _principal(row)

    async def is_login_revoked(self, session: AsyncSession, login_id: str) -> bool:
        """Returns whether this login of a page has been ended."""
        return await KeyRepository(session).has_ended(login_id)

    async def log_out(self, session: AsyncSession, login_id: str, key_id: str, expires_at: datetime) -> None:
        """Ends one login of a page; the key behind it goes on."""
        row = EndedLoginRow(id=login_id, expires_at=expires_at)
        if await KeyRepository(session).end_login(row, utcnow()):
            key = await KeyRepository(session).find(key_id)
            mark = {} if key is None else tenant_attribute(key.tenant)
            await self._events.append(session, STREAM, "login.ended", {"id": key_id, **mark})

    async def _row(self, session: AsyncSession, key_id: str, by: Principal) -> ApiKeyRow:
        row = await KeyRepository(session).find(key_id)
        if row is None or not (by.is_operator or row.tenant == by.tenant):
            raise key_not_found(key_id)
        return row

    async def _make(
        self,
        session: AsyncSession,
        request: KeyRequest,
        by: Principal,
        tenant: str,
        key: str | None = None,
    ) -> CreatedKey:
        key = key or secrets.token_hex(32)
        row = ApiKeyRow(
            id=new_id("key"),
            tenant=tenant,
            name=request.name,
            role=role(request.role).name,
            scopes=request.scopes,
            sha256=hash_key(key),
            state=KeyState.ACTIVE,
            created_at=utcnow(),
            created_by=by.id,
            expires_at=request.expires_at,
        )
        await KeyRepository(session).add(row)
        facts = {"id": row.id, "name": row.name, "role": row.role, "scopes": row.scopes, "by": by.id}
        await self._events.append(session, STREAM, "key.created", {**facts, **tenant_attribute(tenant)})
        return CreatedKey(**_view(row, utcnow()).model_dump(), key=key)


def _check_rights(request: KeyRequest, by: Principal, tenant: str) -> None:
    for scope in request.scopes or ():
        check_pattern(scope)
    scopes = None if request.scopes is None else tuple(request.scopes)
    requested = Principal(
        id="", name="", role=role(request.role).name, kind="key", scopes=scopes, tenant=tenant
    )
    if missing := by.missing(requested.permissions):
        raise key_escalates(missing)


def _state(row: ApiKeyRow | KnownKey, now: datetime) -> KeyState:
    return state_at(KeyState(row.state), row.expires_at, now)


def _principal(row: ApiKeyRow | KnownKey) -> Principal | None:
    if _state(row, utcnow()) not in USABLE:
        return None
    scopes = None if row.scopes is None else tuple(row.scopes)
    state = _state(row, utcnow())
    return Principal(
        id=Principal.local_admin().id if row.created_by == LOCAL_KEY_MAKER else row.id,
        name=row.name,
        role=row.role,
        kind="key",
        scopes=scopes,
        state=state,
        tenant=row.tenant,
        until=row.expires_at,
        key_id=row.id,
    )


def _configured_principal(known: str) -> Principal:
    # Named by a hash of the hash: an id goes into logs and cookies, the hash itself stays in the settings.
    name = hashlib.sha256(known.encode()).hexdigest()[:12]
    key_id = f"{CONFIGURED}{name}"
    return Principal(id=key_id, name="key from the settings", role="admin", kind="key", key_id=key_id)


def _scrape_principal(known: str) -> Principal:
    """Returns the principal of a monitoring system: `metrics:read` alone."""
    return replace(_configured_principal(known), name="scrape key", role="operator", scopes=SCRAPE_SCOPES)


def _view(row: ApiKeyRow, now: datetime) -> KeyView:
    return read_view(KeyView, row, state=_state(row, now))
