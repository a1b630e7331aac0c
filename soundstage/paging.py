"""Pages of lists: filters, a sort order, a cursor that keeps its place, a total; used by every list route.

The body of a page is the plain array of its rows. `X-Total-Count` says how many rows match in all, and `Link`
(RFC 8288) with `rel="next"` where the next page is.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Depends, Query, Request, Response
from sqlalchemy import JSON, ColumnElement, SQLColumnExpression, Text, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ExecutableOption

from soundstage.database.storable import storable
from soundstage.database.tenants import current_tenant
from soundstage.errors import Invalid

Row = TypeVar("Row")
Item = TypeVar("Item")
SortValue = str | int | datetime

MAX_CURSOR_CHARS = 2000
MAX_SEARCH_CHARS = 200
MAX_SEARCH_WORDS = 8
MAX_INTEGER = 2**63 - 1
TOTAL_HEADER = "X-Total-Count"

_LINK = {
    "description": 'the next page, as `<address>; rel="next"`; absent on the last page',
    "schema": {"type": "string"},
}
_TOTAL = {"description": "how many rows match in all", "schema": {"type": "integer"}}
LINKED: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": {"Link": _LINK}}}
PAGED: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": {"Link": _LINK, TOTAL_HEADER: _TOTAL}}}
"""For `responses=` of a route that answers with pages; `LINKED` of one that counts no total."""

SearchText = Annotated[
    str | None,
    Query(max_length=MAX_SEARCH_CHARS, description="words that must all occur; case does not matter"),
]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` rows after the place that `cursor` names; None begins at the top."""

    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """`total` counts all rows that match; `next_cursor` is None on the last page."""

    items: list[Item]
    total: int
    next_cursor: str | None

    def of(self, items: list[Row]) -> Page[Row]:
        """Return the same place in the list with other items, such as the views of its rows."""
        return Page(items, self.total, self.next_cursor)


@dataclass(frozen=True, slots=True)
class Order:
    """The sort order of a list. `id` breaks ties, so that every row has a place of its own; with `column`
    None it is the only key. Ids sort by the time of their making, texts and numbers alike. `column` must not
    be NULL: use `coalesce`.
    """

    id: InstrumentedAttribute[str] | InstrumentedAttribute[int]
    column: SQLColumnExpression[Any] | None = None
    type: type[SortValue] = str
    descending: bool = True
    has_number: bool = False
    """Whether `id` is a number."""


def both_ways(**orders: Order) -> Mapping[str, Order]:
    """Returns each order by its name, ascending, and descending with `-` before the name."""
    ascending = {name: replace(order, descending=False) for name, order in orders.items()}
    return MappingProxyType(ascending | {f"-{name}": order for name, order in orders.items()})


async def select_page(
    session: AsyncSession,
    model: type[Row],
    order: Order,
    request: PageRequest,
    *,
    where: Sequence[ColumnElement[bool]] = (),
    scope: Mapping[str, object],
    options: Sequence[ExecutableOption] = (),
) -> Page[Row]:
    """Read one page and the total.

    `scope` is what the caller asked for (sort and filters): a cursor is good for the same question only.
    Rows that are added meanwhile neither repeat nor hide a row of a later page. Raises Invalid
    (`page.bad_cursor`).
    """
    total = await session.scalar(select(func.count(order.id)).where(*where)) or 0
    digest = _digest(model, scope)
    key: SQLColumnExpression[Any] = order.id if order.column is None else order.column
    query: Any = select(model, key.label("sort_key")).where(*where).options(*options)
    if request.cursor is not None:
        query = query.where(_after(order, *_decode(request.cursor, digest, order)))
    keys: list[SQLColumnExpression[Any]] = [order.id] if order.column is None else [order.column, order.id]
    query = query.order_by(*(one.desc() if order.descending else one.asc() for one in keys))
    # One more than asked for says whether there is a next page.
    rows = [(row[0], row[1]) for row in await session.execute(query.limit(request.limit + 1))]
    cursor = None
    if len(rows) > request.limit:
        rows = rows[: request.limit]
        last, value = rows[-1]
        cursor = _encode(digest, value, getattr(last, order.id.key))
    return Page([row for row, _ in rows], total, cursor)


def contains_words(text: str | None, *columns: SQLColumnExpression[Any]) -> list[ColumnElement[bool]]:
    """Return the condition that each word of `text` occurs in one of the columns, `%` and `_` taken as they
    are; an empty list without words.
    """
    words = storable(text or "").split()
    if len(words) > MAX_SEARCH_WORDS:
        raise Invalid(
            "page.too_many_words",
            f"The search has {len(words)} words; {MAX_SEARCH_WORDS} are the most.",
            "Leave some out.",
        )
    return [or_(*(_contains(column, word) for column in columns)) for word in words]


def _contains(column: SQLColumnExpression[Any], word: str) -> ColumnElement[bool]:
    if isinstance(getattr(column, "type", None), JSON):
        return _any_spelling(cast(column, Text), word, lambda one: json.dumps(one)[1:-1])
    return _any_spelling(column, word, str)


def _any_spelling(
    column: SQLColumnExpression[Any], word: str, stored: Callable[[str], str]
) -> ColumnElement[bool]:
    found = column.icontains(stored(word), autoescape=True)
    if word.isascii():
        return found
    # SQLite knows upper and lower case of ASCII letters alone.
    spellings = {word, word.lower(), word.upper(), word.capitalize()}
    return or_(found, *(column.contains(stored(one), autoescape=True) for one in sorted(spellings)))


def next_link(request: Request, cursor: object) -> str:
    """Return the value of `Link` that leads to the page after `cursor`."""
    url = request.url.include_query_params(cursor=cursor)
    return f'<{url.path}?{url.query}>; rel="next"'


class Paging:
    """The paging part of one request and its answer; a route declares it as `PagingDep`."""

    def __init__(self, request: Request, response: Response, cursor: str | None) -> None:
        self._request = request
        self._response = response
        self._cursor = cursor

    def ask(self, limit: int) -> PageRequest:
        return PageRequest(limit, self._cursor)

    def answer(self, page: Page[Item]) -> list[Item]:
        """Return the rows for the body, and write total and next page into the headers."""
        self._response.headers[TOTAL_HEADER] = str(page.total)
        if page.next_cursor is not None:
            self._response.headers["Link"] = next_link(self._request, page.next_cursor)
        return page.items


def _paging(
    request: Request,
    response: Response,
    cursor: Annotated[
        str | None,
        Query(max_length=MAX_CURSOR_CHARS, description="from the `Link` of the page before, as it is"),
    ] = None,
) -> Paging:
    return Paging(request, response, cursor)


PagingDep = Annotated[Paging, Depends(_paging)]


def _after(order: Order, value: SortValue | None, last_id: SortValue) -> ColumnElement[bool]:
    def beyond(column: SQLColumnExpression[Any], bound: SortValue | None) -> ColumnElement[bool]:
        return column < bound if order.descending else column > bound

    if order.column is None:
        return beyond(order.id, last_id)
    return or_(beyond(order.column, value), and_(order.column == value, beyond(order.id, last_id)))


def _digest(model: type[Any], scope: Mapping[str, object]) -> str:
    question = {**scope, "list": model.__name__, "tenant": current_tenant()}
    text = json.dumps(question, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _encode(digest: str, value: SortValue, row_id: SortValue) -> str:
    plain = value.isoformat() if isinstance(value, datetime) else value
    text = json.dumps([digest, plain, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, digest: str, order: Order) -> tuple[SortValue | None, SortValue]:
    """The cursor grants nothing, it only names a position: a forged one shows the caller's own rows from
    there on.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, plain, row_id = json.loads(text)
        value = None if order.column is None else _typed(plain, order.type)
        _typed(row_id, int if order.has_number else str)
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad_cursor() from error
    if found != digest:
        raise _bad_cursor()
    return value, row_id


def _typed(plain: Any, expected: type[SortValue]) -> SortValue:
    """Raises TypeError or ValueError for what no database could compare with the column."""
    if expected is datetime:
        moment = datetime.fromisoformat(plain)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment
    if type(plain) is not expected:
        raise TypeError(expected.__name__)
    if isinstance(plain, int):
        if abs(plain) > MAX_INTEGER:
            raise ValueError("too large")
        return plain
    text = str(plain)
    text.encode()
    if "\0" in text:
        raise ValueError("no text of a database")
    return text


def _bad_cursor() -> Invalid:
    return Invalid(
        "page.bad_cursor",
        "The cursor does not belong to this list with this sort order and these filters.",
        "Follow the `next` link of the page before as it is, or leave `cursor` out to begin at the top.",
    )
