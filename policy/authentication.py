"""From a connection to a principal: an API key, or the session cookie of a login with one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi.requests import HTTPConnection

from policy.attempts import FailedAttempts
from policy.cross_origin import is_same_origin
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
class PublicOrigin:
    """The host and scheme at which browsers reach this server. `allow_plain_http` (the setting
    `auth.plain_http`) lets keys of other machines come without TLS.
    """

    host: str | None = None
    https: bool = False
    allow_plain_http: bool = False


class Authenticator:
    """Returns the principal of a connection, or raises Unauthorized. The peer address proves nothing: a
    request that is forged on this server (SSRF) comes from loopback, too.
    """

    def __init__(
        self,
        db: Database,
        keys: KeyService,
        sessions: SessionSigner,
        origin: PublicOrigin,
        attempts: FailedAttempts,
    ) -> None:
        self._db = db
        self._keys = keys
        self._sessions = sessions
        self._origin = origin
        self._attempts = attempts
        self.uses = KeyUses(db)

    def require_tls(self, connection: HTTPConnection) -> None:
        """Raises Forbidden when others on the network could have read what the connection carries."""
        if not self._origin.allow_plain_http and not is_confidential(connection):
            raise needs_tls()

    async def authenticate(self, connection: HTTPConnection, *, check_tls: bool = True) -> Principal:
        """Returns the principal of the Bearer key or, without one, of the session cookie; a wrong key is
        refused even beside a good cookie.

        Raises Unauthorized, Forbidden for a request of another origin or without TLS, and 429
        `auth.too_many_failures`. With `check_tls=False` the caller calls `require_tls` itself.
        """
        authorization = connection.headers.get("authorization")
        if check_tls and (authorization is not None or COOKIE in connection.cookies):
            self.require_tls(connection)
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
        self.reject_cross_origin(connection)
        return session

    def reject_cross_origin(self, connection: HTTPConnection) -> None:
        """Raises Forbidden when a page of another origin may have caused the request (CSRF)."""
        if not is_same_origin(connection, self._origin.host):
            raise Forbidden(
                "auth.foreign_page",
                "This request was started by a page of another origin.",
                "Open the page of this server itself, or send an API key.",
            )

    async def with_key(self, key: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a key. Raises Unauthorized for a key that is unknown, expired or revoked,
        and 429 `auth.too_many_failures` after too many wrong ones.
        """
        took_token = await self._attempts.begin(connection, key)
        async with self._db.session() as session:
            principal = await self._keys.identify(session, key)
        if principal is None:
            raise Unauthorized(
                "auth.bad_key",
                "This API key is unknown, expired or revoked.",
                "Ask an administrator for a new one.",
                headers=CHALLENGE,
            )
        if took_token:
            self._attempts.succeed(connection)
        await self.uses.note(principal.key_id)
        return principal

    async def with_link(self, links: StartLinks, token: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a one-time login link. Raises Unauthorized for a link that is unknown,
        used or expired, and 429 `auth.too_many_failures` after too many wrong ones.
        """
        await self._attempts.begin(connection)
        key_id = links.redeem(token)
        async with self._db.session() as session:
            principal = await self._keys.by_id(session, key_id)
        if principal is None:
            raise Unauthorized("auth.bad_key", "The key behind this start link has ended.", LINK_HINT)
        self._attempts.succeed(connection)
        return principal

    async def log_out(self, connection: HTTPConnection) -> None:
        """Revokes the login of the connection's cookie, and with it every copy of the cookie."""
        login = self._login(connection)
        if login is None:
            return
        async with self._db.session() as session:
            if await self._keys.is_login_revoked(session, login.id):
                return
        async with self._db.transaction() as session:
            await self._keys.log_out(session, login.id, login.key_id, login.expires_at)

    async def _session_principal(self, connection: HTTPConnection) -> Principal | None:
        login = self._login(connection)
        if login is None:
            return None
        async with self._db.session() as session:
            principal = await self._keys.by_id(session, login.key_id)
            if principal is None or await self._keys.is_login_revoked(session, login.id):
                return None
        expires_at = min(filter(None, (principal.until, login.expires_at)))
        return replace(principal, kind="session", until=expires_at)

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
