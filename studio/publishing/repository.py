"""All SQL on publications, accounts and quota."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, select

from soundstage.database.repository import Queries, Repository
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.paging import Order, Page, PageRequest, both_ways, contains_words, select_page
from studio.publishing.models import Account, PendingConsent, Publication, QuotaDay
from studio.publishing.states import ACTIVE, PublicationState
from studio.renders.models import Render

PublicationSort = Literal["-created", "created"]
ORDERS = both_ways(created=Order(Publication.id))


@dataclass(frozen=True, slots=True)
class PublicationFilter:
    """Filter of a list of publications. Empty means all; `render` is an id, or how one ends."""

    sort: PublicationSort = "-created"
    q: str | None = None
    states: Sequence[PublicationState] = ()
    render: str | None = None


class Publications(Repository[Publication]):
    async def page(
        self, criteria: PublicationFilter, render_id: str | None, request: PageRequest
    ) -> Page[Publication]:
        rendered = select(Render.title).where(Render.id == Publication.render_id).scalar_subquery()
        where = contains_words(
            criteria.q, Publication.wishes["title"].as_string(), rendered, Publication.url, Publication.id
        )
        if render_id is not None:
            where.append(Publication.render_id == render_id)
        if criteria.states:
            where.append(Publication.state.in_(criteria.states))
        return await select_page(
            self._session, Publication, ORDERS[criteria.sort], request, where=where, scope=asdict(criteria)
        )

    async def bring_forward(self, by: timedelta, before: datetime) -> None:
        """Shortens the waits that end before."""
        active = select(Publication).where(Publication.state.in_(ACTIVE), Publication.next_at < before)
        for publication in await self._all(active):
            publication.next_at -= by

    async def due(self, now: datetime, exclude: Collection[str], limit: int) -> Sequence[str]:
        """The longest due first."""
        return await self._all(
            select(Publication.id)
            .where(Publication.state.in_(ACTIVE), Publication.next_at <= now, Publication.id.not_in(exclude))
            .order_by(Publication.next_at, Publication.id)
            .limit(limit)
        )

    async def find_active(self, render_id: str, account_id: str) -> Publication | None:
        """Returns a publication of this render to this channel that is under way or done."""
        states = {*ACTIVE, PublicationState.PUBLISHED}
        query = select(Publication).where(
            Publication.render_id == render_id,
            Publication.account_id == account_id,
            Publication.state.in_(states),
        )
        return (await self._session.scalars(query.limit(1))).first()


class Accounts(Repository[Account]):
    async def of_channel(self, channel_id: str) -> Account | None:
        return (await self._session.scalars(select(Account).where(Account.channel_id == channel_id))).first()

    async def has_others(self, account: Account) -> bool:
        """Returns whether another tenant has the same channel."""
        query = select(Account.id).where(Account.channel_id == account.channel_id, Account.id != account.id)
        with bypass_tenant_filter():
            return await self._session.scalar(query) is not None

    async def all(self) -> Sequence[Account]:
        return await self._all(select(Account).order_by(Account.id))

    async def expect(self, consent: PendingConsent, now: datetime) -> None:
        """Notes who was sent to the consent page; those who never came back are forgotten."""
        with bypass_tenant_filter():
            await self._session.execute(delete(PendingConsent).where(PendingConsent.expires_at <= now))
        self._session.add(consent)
        await self._session.flush()

    async def take_expected(self, state_sha256: str) -> PendingConsent | None:
        """Each is good for once."""
        found = await self._session.get(PendingConsent, state_sha256)
        if found is not None:
            await self._session.delete(found)
        return found


class Quota(Queries):
    async def units_used(self, day: str) -> int:
        row = await self._session.get(QuotaDay, day)
        return 0 if row is None else row.units

    async def set(self, day: str, units: int) -> None:
        await self._session.merge(QuotaDay(day=day, units=units))
