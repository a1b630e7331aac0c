"""All tables of the provisioning API, as migrations 0001 to 0008 left them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = None
branch_labels = None
depends_on = None


def _part_of(name: str, table: str, **options: Any) -> sa.Column[str]:
    """Returns a column with the id of a row that this one goes with."""
    return sa.Column(name, sa.String(40), sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), **options)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True)),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("replaced_by", sa.String(40), sa.ForeignKey("api_keys.id")),
    )
    op.create_table(
        "audit_records",
        sa.Column("number", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False, index=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "ended_logins",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "event_streams",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, primary_key=True
        ),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(32)),
        sa.UniqueConstraint("stream", "seq", name=op.f("uq_events_stream_seq")),
    )
    op.create_index("ix_events_stream_id", "events", ["stream", "id"])
    op.create_table(
        "machines",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False, unique=True),
        sa.Column("uuid", sa.String(36), index=True),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("pool", sa.String(40), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(45)),
        sa.Column("ssh_port", sa.Integer(), nullable=False),
        sa.Column("host_key", sa.String(1000)),
        sa.Column("host_key_from", sa.String(20), nullable=False),
        sa.Column("agent_key", sa.String(64)),
        sa.Column("seen_macs", sa.JSON(none_as_null=True)),
        sa.Column("acceptance", sa.Integer(), nullable=False),
        sa.Column("written", sa.Integer(), nullable=False),
        sa.Column("accepted_by", sa.String(200), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True)),
        sa.Column("hardware", sa.JSON(none_as_null=True)),
        sa.Column("hardware_sha256", sa.String(64)),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("power", sa.JSON(none_as_null=True)),
        sa.Column("wiping", sa.JSON(none_as_null=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "rules",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("sentence", sa.String(300), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("when", sa.JSON(), nullable=False),
        sa.Column("then", sa.JSON(), nullable=False),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("playbook", sa.String(200), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("check", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("retry_of", sa.String(40)),
        sa.Column("read_bytes", sa.BigInteger(), nullable=False),
        sa.Column("cancel_wanted", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "used_challenges",
        sa.Column("nonce", sa.String(16), primary_key=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "announcements",
        sa.Column("serial", sa.String(200), primary_key=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("announced_by", sa.String(200), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("machine_id", sa.String(40), sa.ForeignKey("machines.id", ondelete="CASCADE")),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "enrolments",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("macs", sa.JSON(), nullable=False),
        sa.Column("uuid", sa.String(36)),
        sa.Column("agent_key", sa.String(64)),
        sa.Column("token_sha256", sa.String(64), unique=True),
        sa.Column("armed_by", sa.String(200), nullable=False),
        sa.Column("armed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "failures",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("run_id", "runs", nullable=False, index=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("task", sa.String(300), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted", sa.Boolean(), nullable=False),
        sa.Column("solved_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "hardware_reports",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("hardware", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "machine_keys",
        _part_of("machine_id", "machines", primary_key=True),
        sa.Column("agent_key", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(45), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
    )
    op.create_table(
        "machine_macs",
        sa.Column("mac", sa.String(17), primary_key=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
    )
    op.create_table(
        "machine_tokens",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        _part_of("machine_id", "machines", nullable=False, unique=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "run_machines",
        _part_of("run_id", "runs", primary_key=True),
        _part_of("machine_id", "machines", primary_key=True, index=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("result", sa.String(20), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
    )
    op.create_table(
        "spans",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("machine_id", "machines", nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_spans_machine_at", "spans", ["machine_id", "started_at"])
    op.create_table(
        "credentials",
        sa.Column("serial", sa.String(40), primary_key=True),
        _part_of("enrolment_id", "enrolments", nullable=False),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_because", sa.String(200), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint(
            "enrolment_id", "kind", "generation", name=op.f("uq_credentials_enrolment_id_kind_generation")
        ),
    )
    op.create_table(
        "healing_cases",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("consent", sa.String(20), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("acted", sa.Boolean(), nullable=False),
        sa.Column("spare_id", sa.String(40)),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "uq_healing_cases_open",
        "healing_cases",
        ["machine_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "healing_actions",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("case_id", "healing_cases", nullable=False, index=True),
        _part_of("machine_id", "machines", nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
