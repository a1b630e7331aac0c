"""From a connection to a principal: an API key, or the session cookie of a login with one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi.requests import HTTPConnection

from policy.attempts import FailedAttempts
from policy.foreign_pages import starts_at_our_own_page
from policy.keys.service import KeyService
from policy.keys.uses import KeyUses
from policy.plain_http import is_confidential, needs_tls
from policy.principal import Principal
from policy.sessions import COOKIE, Login, SessionSigner
from policy.start_links import HINT as LINK_HINT
from policy.start_links import StartLinks
from soundstage.database import Database
from soundstage.errors import Forbidden, Unauthorized

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="soundstage"'}


@dataclass(frozen=True, slots=True)
class PublicName:
    """Under which name browsers know us, whether by https, and whether keys may come without it."""

    host: str | None = None
    https: bool = False
    plain_http: bool = False


class Authenticator:
    """Says who is behind a connection, or raises Unauthorized. Its address is no answer: whatever makes a
    program of this machine fetch a URL comes from loopback.
    """

    def __init__(
        self,
        db: Database,
        keys: KeyService,
        sessions: SessionSigner,
        name: PublicName,
        attempts: FailedAttempts,
    ) -> None:
        self._db = db
        self._keys = keys
        self._sessions = sessions
        self._name = name
        self._attempts = attempts
        self.uses = KeyUses(db)

    def refuse_plain_http(self, connection: HTTPConnection) -> None:
        """Raise Forbidden when others on the network could have read what the connection carries."""
        if not self._name.plain_http and not is_confidential(connection):
            raise needs_tls()

    async def authenticate(self, connection: HTTPConnection, *, plain_http: bool = False) -> Principal:
        """A wrong key is refused even where no key is needed: whoever sends one means to be known by it.

        `plain_http` leaves it to the caller to refuse keys that came unencrypted.
        """
        authorization = connection.headers.get("authorization")
        if not plain_http and (authorization is not None or COOKIE in connection.cookies):
            self.refuse_plain_http(connection)
        if authorization is not None:
            return await self.with_key(_bearer(authorization), connection)
        session = await self._session_principal(connection)
        if session is None:
            raise Unauthorized(
                "auth.required",
                "This needs an API key.",
                "Send `Authorization: Bearer KEY`, or log in on the page: `soundstage open`.",
                headers=CHALLENGE,
            )
        self.refuse_foreign_page(connection)
        return session

    def refuse_foreign_page(self, connection: HTTPConnection) -> None:
        """Raises Forbidden when a page of somebody else may have caused the request."""
        if not starts_at_our_own_page(connection, self._name.host):
            raise Forbidden(
                "auth.foreign_page",
                "This request was started by a page of another origin.",
                "Open the page of this server itself, or send an API key.",
            )

    async def with_key(self, key: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a key; Unauthorized when there is none (any more). Wrong ones are slowed
        down.
        """
        is_counted = await self._attempts.begin(connection, key)
        async with self._db.session() as session:
            principal = await self._keys.identify(session, key)
        if principal is None:
            raise Unauthorized(
                "auth.bad_key",
                "This API key is unknown, expired or revoked.",
                "Ask an administrator for a new one.",
                headers=CHALLENGE,
            )
        if is_counted:
            self._attempts.succeed(connection)
        await self.uses.note(principal.key_id)
        return principal

    async def with_link(self, links: StartLinks, token: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a start link; Unauthorized when it logs nobody in (any more)."""
        await self._attempts.begin(connection)
        key_id = links.redeem(token)
        async with self._db.session() as session:
            principal = await self._keys.by_id(session, key_id)
        if principal is None:
            raise Unauthorized("auth.bad_key", "The key behind this start link has ended.", LINK_HINT)
        self._attempts.succeed(connection)
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
