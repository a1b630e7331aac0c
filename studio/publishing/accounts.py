"""Channels that let us in, and their tokens, which lie sealed; called by routes and the publisher."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_scope
from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError, Unavailable, Upstream
from soundstage.http import OwnListeners
from soundstage.sealing import Sealer
from soundstage.settings import YoutubeSettings
from soundstage.telemetry import get_logger
from soundstage.views import read_view
from studio.publishing import oauth
from studio.publishing.errors import PublishError, Refused, TransientError
from studio.publishing.models import Account, PendingConsent
from studio.publishing.repository import Accounts
from studio.publishing.schemas import AccountView, ConsentPage
from studio.publishing.youtube import YouTube, http_client

CONSENT_MINUTES = 10
# A token that ends while a chunk travels would cost the chunk.
FRESH_FOR = timedelta(seconds=60)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AccountService:
    db: Database
    sealer: Sealer
    settings: YoutubeSettings
    listeners: OwnListeners

    async def all(self) -> list[AccountView]:
        async with self.db.session() as session:
            return [view_of(row) for row in await Accounts(session).all()]

    async def connect(self, redirect_uri: str, *, requested_by: str) -> ConsentPage:
        """The page where the owner of a channel agrees; Google then sends the browser to `redirect_uri`."""
        require_setup(self.settings)
        state, verifier = secrets.token_urlsafe(32), oauth.new_verifier()
        now = utcnow()
        expected = PendingConsent(
            state_sha256=_hash(state),
            verifier_sealed=self.sealer.seal(verifier),
            redirect_uri=redirect_uri,
            requested_by=requested_by,
            expires_at=now + timedelta(minutes=CONSENT_MINUTES),
        )
        async with self.db.transaction() as session:
            await Accounts(session).expect(expected, now)
        return ConsentPage(url=oauth.consent_url(self.settings, redirect_uri, state, verifier))

    async def come_back(self, state: str, code: str) -> AccountView:
        """Takes what the consent page gave. A channel that is known already gets its new tokens."""
        # A browser comes back that shows no key: whose consent it is stands on what it was sent out with.
        with bypass_tenant_filter():
            async with self.db.transaction() as session:
                expected = await Accounts(session).take_expected(_hash(state))
        if expected is None or expected.expires_at <= utcnow():
            raise Forbidden(
                "publishing.unknown_consent",
                "This consent was not requested here, or more than ten minutes ago.",
                "Begin again with `soundstage publish connect`.",
            )
        try:
            async with http_client(self.settings, self.listeners) as http:
                verifier = self.sealer.unseal(expected.verifier_sealed)
                tokens = await oauth.exchange(http, self.settings, code, verifier, expected.redirect_uri)
                channel = await YouTube(http, str(self.settings.api_url), tokens.access).own_channel()
        except PublishError as error:
            raise _explained(error) from error
        if tokens.refresh is None:
            raise Upstream(
                "publishing.no_refresh_token",
                "Google gave a token that ends in an hour and cannot be renewed.",
                "Take this program's access back in the Google account, then connect again.",
            )
        with tenant_scope(expected.tenant):
            return await self._keep(tokens, tokens.refresh, channel, expected.requested_by)

    async def disconnect(self, account_id: str) -> None:
        """Gives the tokens back to Google and forgets them. What is published stays where it is.

        Google ends all that a channel has granted at once: while another tenant publishes there, ours are
        only forgotten.
        """
        async with self.db.session() as session:
            row = await account_of(session, account_id)
            shared = await Accounts(session).has_others(row)
        try:
            if not shared:
                async with http_client(self.settings, self.listeners) as http:
                    await oauth.revoke(http, self.settings, self.sealer.unseal(row.refresh_token_sealed))
        except (TransientError, Unavailable) as error:
            # We forget them all the same; the owner can take them back at Google.
            log.warning("publishing.not_revoked", account=account_id, reason=str(error))
        async with self.db.transaction() as session:
            await Accounts(session).delete(await account_of(session, account_id))

    async def token(self, account_id: str, *, fresh: bool = False) -> str:
        """Returns an access token; with `fresh` a new one. Raises PublishError."""
        async with self.db.session() as session:
            row = await account_of(session, account_id)
        if row.revoked_at is not None:
            raise _revoked(row)
        if not fresh and row.access_expires_at - FRESH_FOR > utcnow():
            return self.sealer.unseal(row.access_token_sealed)
        try:
            async with http_client(self.settings, self.listeners) as http:
                tokens = await oauth.refresh(
                    http, self.settings, self.sealer.unseal(row.refresh_token_sealed)
                )
        except Refused as refused:
            if refused.failure.code == "publishing.revoked":
                await self._mark_revoked(account_id)
                raise _revoked(row) from refused
            raise
        async with self.db.transaction() as session:
            row = await account_of(session, account_id)
            row.access_token_sealed = self.sealer.seal(tokens.access)
            row.access_expires_at = tokens.expires_at
            if tokens.refresh is not None:
                row.refresh_token_sealed = self.sealer.seal(tokens.refresh)
        return tokens.access

    async def _keep(
        self, tokens: oauth.Tokens, refresh: str, channel: tuple[str, str], by: str
    ) -> AccountView:
        async with self.db.transaction() as session:
            accounts = Accounts(session)
            row = await accounts.of_channel(channel[0]) or Account(channel_id=channel[0])
            row.title, row.connected_by, row.connected_at = channel[1][:200], by, utcnow()
            row.refresh_token_sealed = self.sealer.seal(refresh)
            row.access_token_sealed = self.sealer.seal(tokens.access)
            row.access_expires_at = tokens.expires_at
            row.revoked_at = None
            return view_of(await accounts.add(row))

    async def _mark_revoked(self, account_id: str) -> None:
        async with self.db.transaction() as session:
            (await account_of(session, account_id)).revoked_at = utcnow()


async def account_of(session: AsyncSession, account_id: str) -> Account:
    missing = NotFound(
        "publishing.account_not_found",
        f"There is no account {account_id!r}.",
        "`soundstage publish accounts` lists them; `soundstage publish connect` adds one.",
    )
    return await Accounts(session).require(account_id, missing)


def require_setup(settings: YoutubeSettings) -> None:
    """Raises `publishing.not_set_up`."""
    if not settings.client_id:
        raise Unavailable(
            "publishing.not_set_up",
            "Publishing on YouTube is not set up.",
            "Make an OAuth client of the kind desktop app and set youtube.client_id; "
            "docs/guide/publishing.md shows how.",
        )


async def choose_account(session: AsyncSession, account_id: str | None) -> Account:
    """The account of that id, or the only one there is."""
    if account_id is not None:
        row = await account_of(session, account_id)
    else:
        rows = await Accounts(session).all()
        if not rows:
            raise Conflict(
                "publishing.no_account",
                "No YouTube channel is connected.",
                "Connect one with `soundstage publish connect`.",
            )
        if len(rows) > 1:
            raise Conflict(
                "publishing.which_account",
                "Several YouTube channels are connected.",
                "Say which one with `account`; `soundstage publish accounts` lists them.",
            )
        row = rows[0]
    if row.revoked_at is not None:
        failure = _revoked(row).failure
        raise Conflict(failure.code, failure.message, failure.hint)
    return row


def view_of(row: Account) -> AccountView:
    return read_view(AccountView, row, usable=row.revoked_at is None)


def _revoked(row: Account) -> Refused:
    return Refused(
        "publishing.revoked",
        f"The channel {row.title or row.channel_id} does not let us in any more.",
        "Connect it again (`soundstage publish connect`), then retry.",
    )


def _explained(error: PublishError) -> SoundstageError:
    if isinstance(error, Refused):
        return Upstream(error.failure.code, error.failure.message, error.failure.hint)
    return Upstream(
        "publishing.no_answer",
        f"The account could not be connected: {error or 'Google refused it'}.",
        "Begin again with `soundstage publish connect`.",
    )


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
