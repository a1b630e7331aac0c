"""One-time tokens that the page changes for its session cookie, as Jupyter's; used by the routes of logins.

A link holds its token behind `#`, which browsers send to no server: it stands in no request log, no `Referer`
and no log of a proxy. The tokens are in memory as hashes, so a restart of the server ends them all.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy.keys.service import hash_key
from soundstage.database import utcnow
from soundstage.errors import Unauthorized

LIFETIME = timedelta(minutes=10)
MAX_LINKS = 256
HINT = "`soundstage open` makes a fresh link, on the machine of the server."


@dataclass(slots=True)
class _Link:
    key_id: str
    expires_at: datetime
    is_used: bool = False


class StartLinks:
    """Issues and redeems tokens. No method awaits, so two requests cannot redeem one token."""

    def __init__(self) -> None:
        self._links: OrderedDict[str, _Link] = OrderedDict()

    def issue(self, key_id: str) -> tuple[str, datetime]:
        """Return a token that logs in with the key of that id, once, and when it expires."""
        token = secrets.token_urlsafe(32)
        expires_at = utcnow() + LIFETIME
        self._links[hash_key(token)] = _Link(key_id, expires_at)
        while len(self._links) > MAX_LINKS:
            self._links.popitem(last=False)
        return token, expires_at

    def redeem(self, token: str) -> str:
        """Return the id of the key behind `token`. Raises Unauthorized for one that is used, expired or
        unknown.
        """
        link = self._links.get(hash_key(token))
        if link is None:
            raise Unauthorized(
                "login.link_unknown",
                "This start link is not of this run of the server.",
                HINT,
            )
        if link.is_used:
            raise Unauthorized("login.link_used", "This start link was used already: it logs in once.", HINT)
        if link.expires_at <= utcnow():
            raise Unauthorized("login.link_expired", "This start link has expired.", HINT)
        link.is_used = True
        return link.key_id
