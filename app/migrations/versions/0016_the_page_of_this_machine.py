"""What the page of this machine kept belongs to the user of this machine.

Requests from loopback were the principal `loopback`, whom nobody is any more (decision 0030). The user of
the machine is `local:cli`, at the prompt and on the page: sessions, memories, snapshots, approvals and
idempotency keys become theirs. Lines of the audit log stay as they were written.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BEFORE, NOW = "loopback", "local:cli"

NAME_CHARS = 60
"""Of a snapshot's name, so that what is put behind it fits the column."""


def upgrade() -> None:
    connection = op.get_bind()
    _mcp_session(connection)
    _update(connection, "agent_sessions", "principal_id")
    _snapshots(connection)
    _shelves(connection)
    _idempotency_keys(connection)
    _update(connection, "approvals", "requester_id")
    approvals = _table("approvals", "requester_kind")
    connection.execute(
        approvals.update().where(approvals.c.requester_kind == "loopback").values(requester_kind="local")
    )


def downgrade() -> None:
    """Nothing: whose things they were before is not known any more, and both ids are one person."""


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def _update(connection: sa.Connection, name: str, column: str) -> None:
    table = _table(name, column)
    connection.execute(table.update().where(table.c[column] == BEFORE).values({column: NOW}))


def _mcp_session(connection: sa.Connection) -> None:
    """Calls over MCP have one session a principal, whose id is made of the principal's."""
    before, now = _mcp_id(BEFORE), _mcp_id(NOW)
    sessions = _table("agent_sessions", "id")
    for name in ("approvals", "snapshots", "memories"):
        table = _table(name, "session_id")
        connection.execute(table.update().where(table.c.session_id == before).values(session_id=now))
    tellings = _table("memory_tellings", "memory_id", "session_id", "turn")
    there = tellings.alias()
    connection.execute(
        tellings.delete().where(
            tellings.c.session_id == before,
            sa.exists().where(
                there.c.memory_id == tellings.c.memory_id,
                there.c.session_id == now,
                there.c.turn == tellings.c.turn,
            ),
        )
    )
    connection.execute(tellings.update().where(tellings.c.session_id == before).values(session_id=now))
    if connection.scalar(sa.select(sessions.c.id).where(sessions.c.id == now)) is None:
        # It has no turns, so nothing refers to the row.
        connection.execute(sessions.update().where(sessions.c.id == before).values(id=now))
    else:
        connection.execute(sessions.delete().where(sessions.c.id == before))


def _mcp_id(principal_id: str) -> str:
    return f"ses_mcp{hashlib.sha256(principal_id.encode()).hexdigest()[:24]}"


def _snapshots(connection: sa.Connection) -> None:
    """A name that the user has at the prompt too gets a number behind it."""
    table = _table("snapshots", "id", "tenant", "owner_id", "name", "name_key")
    rows = connection.execute(sa.select(table).where(table.c.owner_id.in_((BEFORE, NOW)))).all()
    taken = {(row.tenant, row.name_key) for row in rows if row.owner_id == NOW}
    for row in (row for row in rows if row.owner_id == BEFORE):
        name, number = row.name, 1
        while (row.tenant, _key(name)) in taken:
            number += 1
            name = f"{row.name[:NAME_CHARS]} ({number})"
        taken.add((row.tenant, _key(name)))
        connection.execute(
            table.update().where(table.c.id == row.id).values(owner_id=NOW, name=name, name_key=_key(name))
        )


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _shelves(connection: sa.Connection) -> None:
    """A shelf of the same persona that is there already takes the memories that it does not hold yet."""
    table = _table("memory_shelves", "id", "tenant", "subject", "persona_id", "last_number")
    rows = connection.execute(sa.select(table).where(table.c.subject.in_((BEFORE, NOW)))).all()
    own = {(row.tenant, row.persona_id): row for row in rows if row.subject == NOW}
    for row in (row for row in rows if row.subject == BEFORE):
        target = own.get((row.tenant, row.persona_id))
        if target is None:
            connection.execute(table.update().where(table.c.id == row.id).values(subject=NOW))
            continue
        last = _move(connection, row.id, target.id, target.last_number)
        connection.execute(table.update().where(table.c.id == target.id).values(last_number=last))
        connection.execute(table.delete().where(table.c.id == row.id))


def _move(connection: sa.Connection, before: str, now: str, last: int) -> int:
    """Move memories from one shelf to another; return the last number there."""
    memories = _table("memories", "id", "shelf_id", "number", "text_sha256")
    tellings = _table("memory_tellings", "memory_id", "session_id", "turn")
    listed = sa.select(memories).where(memories.c.shelf_id.in_((before, now))).order_by(memories.c.number)
    rows = connection.execute(listed).all()
    known = {row.text_sha256: row.id for row in rows if row.shelf_id == now}
    for row in (row for row in rows if row.shelf_id == before):
        if row.text_sha256 not in known:
            last += 1
            moved = memories.update().where(memories.c.id == row.id).values(shelf_id=now, number=last)
            connection.execute(moved)
            continue
        told = sa.select(tellings.c.session_id, tellings.c.turn)
        same = known[row.text_sha256]
        there = {tuple(one) for one in connection.execute(told.where(tellings.c.memory_id == same))}
        for session_id, turn in connection.execute(told.where(tellings.c.memory_id == row.id)).all():
            if (session_id, turn) not in there:
                connection.execute(tellings.insert().values(memory_id=same, session_id=session_id, turn=turn))
        connection.execute(tellings.delete().where(tellings.c.memory_id == row.id))
        connection.execute(memories.delete().where(memories.c.id == row.id))
    return last


def _idempotency_keys(connection: sa.Connection) -> None:
    """Where both have used a key for the same operation, that of the prompt stays."""
    table = _table("idempotency_keys", "tenant", "principal", "operation", "key")
    there = table.alias()
    connection.execute(
        table.delete().where(
            table.c.principal == BEFORE,
            sa.exists().where(
                there.c.tenant == table.c.tenant,
                there.c.principal == NOW,
                there.c.operation == table.c.operation,
                there.c.key == table.c.key,
            ),
        )
    )
    _update(connection, "idempotency_keys", "principal")
