"""From a connection to a principal: an API key, or the session cookie of a login with one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi.requests import HTTPConnection

from policy.attempts import FailedAttempts
from policy.keys.service import KeyService
from policy.keys.uses import KeyUses
from policy.principal import Principal
from policy.sessions import COOKIE, Login, SessionSigner
from policy.start_links import HINT as LINK_HINT
from policy.start_links import StartLinks
from soundstage.database import Database
from soundstage.errors import Forbidden, Unauthorized
from soundstage.request_source import peer_address

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="soundstage"'}


def is_confidential(connection: HTTPConnection) -> bool:
    """Returns whether the connection cannot be read on a network.

    A proxy of `http.trusted_proxies` says by `X-Forwarded-Proto` what it spoke with the caller. Packets to an
    own address of this machine do not leave it.
    """
    if connection.scope.get("scheme") in ("https", "wss"):
        return True
    peer, server = peer_address(connection.scope), connection.scope.get("server")
    return peer is None or is_loopback_address(peer) or (server is not None and peer == server[0])


def needs_tls() -> Forbidden:
    """Returns the error for a person whose key came unencrypted from another machine."""
    return Forbidden(
        "auth.needs_tls",
        "Keys and logins are not accepted over plain HTTP from another machine.",
        "Use the https port and trust its authority (`soundstage up --tls`; of provisioning, port 8002, "
        "`soundstage machines ca` prints it). Make a new key: this one could be read on its way.",
    )


def is_loopback_address(host: str) -> bool:
    """Returns whether an address is of 127.0.0.0/8 or ::1, also as an IPv4-mapped one."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_same_origin(connection: HTTPConnection, public_host: str | None = None) -> bool:
    """Returns whether no page of another origin can have sent the request with our cookie (CSRF).

    A browser sends cookies also on behalf of pages of other sites: a page may post forms to
    http://127.0.0.1:8000. Browsers say in `Sec-Fetch-Site`, or for writes in `Origin`, where a request
    starts: it must be our own page, or an address that the user typed. `same-site` is not enough, because
    every port of localhost is the same site. Programs that are no browsers send neither header, and pass. A
    page whose name was rebound to our address (DNS rebinding) passes as well, and gets nothing: the cookie
    belongs to our name.

    `public_host` (`studio.example:8443`) is our name in browsers when a proxy changes the Host header.
    """
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        # The browser's own verdict, which no page can forge, and which no proxy confuses.
        return site in ("same-origin", "none")
    origin = connection.headers.get("origin")
    if origin is not None:
        # With the port: another server on this machine is another origin.
        return _net_location(origin) in {connection.headers.get("host", "").lower(), public_host}
    # Every browser sends Origin or Sec-Fetch-Site with a write, and Origin with a WebSocket.
    return True


def _net_location(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class PublicOrigin:
    """The host and scheme at which browsers reach this server. `allow_plain_http` (the setting
    `auth.plain_http`) lets keys of other machines come without TLS.
    """

    host: str | None = None
    https: bool = False
    allow_plain_http: bool = False


@dataclass
class Authenticator:
    """Returns the principal of a connection, or raises Unauthorized. The peer address proves nothing: a
    request that is forged on this server (SSRF) comes from loopback, too.
    """

    db: Database
    keys: KeyService
    sessions: SessionSigner
    origin: PublicOrigin
    attempts: FailedAttempts

    def __post_init__(self) -> None:
        self.uses = KeyUses(self.db)

    def require_tls(self, connection: HTTPConnection) -> None:
        """Raises Forbidden when others on the network could have read what the connection carries."""
        if not self.origin.allow_plain_http and not is_confidential(connection):
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
        if not is_same_origin(connection, self.origin.host):
            raise Forbidden(
                "auth.foreign_page",
                "This request was started by a page of another origin.",
                "Open the page of this server itself, or send an API key.",
            )

    async def with_key(self, key: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a key. Raises Unauthorized for a key that is unknown, expired or revoked,
        and 429 `auth.too_many_failures` after too many wrong ones.
        """
        took_token = await self.attempts.begin(connection, key)
        async with self.db.session() as session:
            principal = await self.keys.identify(session, key)
        if principal is None:
            raise Unauthorized(
                "auth.bad_key",
                "This API key is unknown, expired or revoked.",
                "Ask an administrator for a new one.",
                headers=CHALLENGE,
            )
        if took_token:
            self.attempts.succeed(connection)
        await self.uses.note(principal.key_id)
        return principal

    async def with_link(self, links: StartLinks, token: str, connection: HTTPConnection) -> Principal:
        """Returns the principal of a one-time login link. Raises Unauthorized for a link that is unknown,
        used or expired, and 429 `auth.too_many_failures` after too many wrong ones.
        """
        await self.attempts.begin(connection)
        key_id = links.redeem(token)
        async with self.db.session() as session:
            principal = await self.keys.by_id(session, key_id)
        if principal is None:
            raise Unauthorized("auth.bad_key", "The key behind this start link has ended.", LINK_HINT)
        self.attempts.succeed(connection)
        return principal

    async def log_out(self, connection: HTTPConnection) -> None:
        """Revokes the login of the connection's cookie, and with it every copy of the cookie."""
        login = self._login(connection)
        if login is None:
            return
        async with self.db.session() as session:
            if await self.keys.is_login_revoked(session, login.id):
                return
        async with self.db.transaction() as session:
            await self.keys.log_out(session, login.id, login.key_id, login.expires_at)

    async def _session_principal(self, connection: HTTPConnection) -> Principal | None:
        login = self._login(connection)
        if login is None:
            return None
        async with self.db.session() as session:
            principal = await self.keys.by_id(session, login.key_id)
            if principal is None or await self.keys.is_login_revoked(session, login.id):
                return None
        expires_at = min(filter(None, (principal.until, login.expires_at)))
        return replace(principal, kind="session", until=expires_at)

    def _login(self, connection: HTTPConnection) -> Login | None:
        token = connection.cookies.get(COOKIE)
        return self.sessions.read(token) if token else None


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
