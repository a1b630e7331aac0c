"""From a connection to a principal: key, then session cookie, then (if allowed) being on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi.requests import HTTPConnection

from policy.ambient import comes_from_this_machine, starts_at_our_own_page
from policy.keys.service import KeyService
from policy.keys.uses import KeyUses
from policy.principal import Principal
from policy.sessions import COOKIE, Login, SessionSigner
from soundstage.database import Database
from soundstage.errors import Forbidden, Unauthorized

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="soundstage"'}


@dataclass(frozen=True, slots=True)
class AmbientTrust:
    """What is trusted without a key: this machine or not, and under which name browsers know us."""

    loopback_is_admin: bool = False
    public_host: str | None = None
    https: bool = False


class Authenticator:
    """Says who is behind a connection, or raises Unauthorized."""

    def __init__(self, db: Database, keys: KeyService, sessions: SessionSigner, trust: AmbientTrust) -> None:
        self._db = db
        self._keys = keys
        self._sessions = sessions
        self._trust = trust
        self.uses = KeyUses(db)

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """A wrong key is refused even where no key is needed: whoever sends one means to be known by it."""
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            return await self.with_key(_bearer(authorization))
        session = await self._session_principal(connection)
        ambient = session
        if ambient is None and self._trust.loopback_is_admin and comes_from_this_machine(connection):
            ambient = Principal(id="loopback", name="this machine", role="admin", kind="loopback")
        if ambient is None:
            raise Unauthorized(
                "auth.required",
                "This needs an API key.",
                "Send `Authorization: Bearer KEY`, or log in on the page.",
                headers=CHALLENGE,
            )
        self.refuse_foreign_page(connection)
        return ambient

    def refuse_foreign_page(self, connection: HTTPConnection) -> None:
        """Raises Forbidden when a page of somebody else may have caused the request."""
        if not starts_at_our_own_page(connection, self._trust.public_host):
            raise Forbidden(
                "auth.foreign_page",
                "This request was started by a page of another origin.",
                "Open the page of this server itself, or send an API key.",
            )

    async def with_key(self, key: str) -> Principal:
        """Whose key this is; Unauthorized when it is nobody's (any more)."""
        async with self._db.session() as session:
            principal = await self._keys.identify(session, key)
        if principal is None:
            raise Unauthorized(
                "auth.bad_key",
                "This API key is unknown, expired or revoked.",
                "Ask an administrator for a new one.",
                headers=CHALLENGE,
            )
        await self.uses.note(principal.id)
        return principal

    async def log_out(self, connection: HTTPConnection) -> None:
        """Ends the login of the connection's cookie for good, also where somebody has kept a copy of it."""
        login = self._login(connection)
        if login is None:
            return
        async with self._db.session() as session:
            if await self._keys.has_logged_out(session, login.id):
                return
        async with self._db.transaction() as session:
            await self._keys.log_out(session, login.id, login.key_id, login.expires_at)

    async def _session_principal(self, connection: HTTPConnection) -> Principal | None:
        login = self._login(connection)
        if login is None:
            return None
        async with self._db.session() as session:
            principal = await self._keys.by_id(session, login.key_id)
            if principal is None or await self._keys.has_logged_out(session, login.id):
                return None
        until = min(filter(None, (principal.until, login.expires_at)))
        return replace(principal, kind="session", until=until)

    def _login(self, connection: HTTPConnection) -> Login | None:
        token = connection.cookies.get(COOKIE)
        return self._sessions.read(token) if token else None


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized(
            "auth.bad_scheme",
            "The Authorization header is not `Bearer KEY`.",
            "Send the key as is.",
            headers=CHALLENGE,
        )
    return key.strip()
