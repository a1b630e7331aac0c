"""All tables of the studio, as migrations 0001 to 0028 left them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = None
branch_labels = None
depends_on = None


def _part_of(name: str, table: str, **options: Any) -> sa.Column[str]:
    """Returns a column with the id of a row that this one goes with."""
    return sa.Column(name, sa.String(40), sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), **options)


def upgrade() -> None:
    op.create_table(
        "agent_sessions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(80), server_default="default", nullable=False),
        sa.Column("principal_id", sa.String(80), nullable=False, index=True),
        sa.Column("persona_id", sa.String(80)),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("last_render_id", sa.String(40)),
        sa.Column("last_project_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("dialogue", sa.Text()),
    )
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
        "approvals",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("tool", sa.String(64), nullable=False),
        sa.Column("permission", sa.String(80), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("arguments_sha256", sa.String(64), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_sha256", sa.String(64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("approvers", sa.Integer(), nullable=False),
        sa.Column("requester_id", sa.String(80), nullable=False),
        sa.Column("requester_name", sa.String(100), nullable=False),
        sa.Column("requester_kind", sa.String(20), nullable=False),
        sa.Column("requester_role", sa.String(40), server_default="viewer", nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False, index=True),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("last_render_id", sa.String(40)),
        sa.Column("last_project_id", sa.String(40)),
        sa.Column("local_files", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text(), nullable=False),
    )
    op.create_table(
        "audit_lines",
        sa.Column("number", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False, index=True),
        sa.Column("trace_id", sa.String(64), index=True),
        sa.Column("session_id", sa.String(40), index=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(none_as_null=True)),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "blob_references",
        sa.Column("tenant", sa.String(80), primary_key=True),
        sa.Column("sha256", sa.String(71), primary_key=True),
        sa.Column("owner", sa.String(200), primary_key=True, index=True),
        sa.Column("role", sa.String(40), primary_key=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "cloned_voices",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("service", sa.String(500), nullable=False, index=True),
        sa.Column("api_key_env", sa.String(128)),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("voice_id", sa.String(200), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.String(40), nullable=False, index=True),
        sa.Column("own_consent", sa.Boolean(), nullable=False),
        sa.Column("sample_sha256", sa.String(71)),
        sa.Column("sample_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence_sha256", sa.String(71)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "derivations",
        sa.Column("tenant", sa.String(80), primary_key=True),
        sa.Column("owner", sa.String(200), primary_key=True),
        sa.Column("source", sa.String(200), primary_key=True, index=True),
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
        "farm_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("stage", sa.String(100), nullable=False, index=True),
        sa.Column("work", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "farm_tickets",
        sa.Column("task_id", sa.String(200), primary_key=True),
        sa.Column("job_id", sa.String(250), nullable=False, index=True),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("task", sa.JSON(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("end", sa.JSON()),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(80), primary_key=True),
        sa.Column("operation", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(71), nullable=False),
        sa.Column("made", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "memory_shelves",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("persona_id", sa.String(80), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.String(40), nullable=False),
        sa.UniqueConstraint(
            "tenant", "subject", "persona_id", name=op.f("uq_memory_shelves_tenant_subject_persona_id")
        ),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("subtitle", sa.String(400), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("trashed_at", sa.DateTime(timezone=True), index=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.UniqueConstraint("tenant", "slug", name=op.f("uq_projects_tenant_slug")),
    )
    op.create_table(
        "publishing_accounts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("channel_id", sa.String(100), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("refresh_token_sealed", sa.Text(), nullable=False),
        sa.Column("access_token_sealed", sa.Text(), nullable=False),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("connected_by", sa.String(200), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.UniqueConstraint("tenant", "channel_id", name=op.f("uq_publishing_accounts_tenant_channel_id")),
    )
    op.create_table(
        "publishing_pending_consents",
        sa.Column("state_sha256", sa.String(64), primary_key=True),
        sa.Column("verifier_sealed", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.String(500), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "publishing_quota_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("units", sa.Integer(), nullable=False),
    )
    op.create_table(
        "segments",
        sa.Column("key", sa.String(120), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("error", sa.JSON()),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("owner_id", sa.String(80), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("name_key", sa.String(160), nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "tenant", "owner_id", "name_key", name=op.f("uq_snapshots_tenant_owner_id_name_key")
        ),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("creator", sa.String(200), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("ended_because", sa.String(200), nullable=False),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        sa.Column("old_secret_sealed", sa.Text()),
        sa.Column("old_secret_until", sa.DateTime(timezone=True)),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "agent_turns",
        _part_of("session_id", "agent_sessions", primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("utterance", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(64)),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("request_id", sa.String(80), index=True),
        sa.Column("alive_until", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "approval_votes",
        _part_of("approval_id", "approvals", primary_key=True),
        sa.Column("person", sa.String(80), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("project_id", sa.String(40), sa.ForeignKey("projects.id", ondelete="SET NULL"), index=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(71), nullable=False, index=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "continuations",
        _part_of("session_id", "agent_sessions", primary_key=True),
        sa.Column("snapshot_name", sa.String(80), nullable=False),
        sa.Column("after_turn", sa.Integer(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "memories",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("shelf_id", "memory_shelves", nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary()),
        sa.Column("model", sa.String(60)),
        sa.Column("session_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("shelf_id", "number", name=op.f("uq_memories_shelf_id_number")),
        sa.UniqueConstraint("shelf_id", "text_sha256", name=op.f("uq_memories_shelf_id_text_sha256")),
    )
    op.create_table(
        "project_versions",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("project_id", "projects", nullable=False, index=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(71), nullable=False),
        sa.Column("spec", sa.JSON()),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_project_versions_project_id_number")),
    )
    op.create_table(
        "renders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_hash", sa.String(71), nullable=False, index=True),
        sa.Column("scene_id", sa.String(64)),
        sa.Column("personas", sa.JSON(), nullable=False),
        sa.Column("project_id", sa.String(40), sa.ForeignKey("projects.id", ondelete="SET NULL"), index=True),
        sa.Column("project_version", sa.Integer()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("ready_by", sa.DateTime(timezone=True)),
        sa.Column("forecast", sa.JSON()),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("waits", sa.String(400), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("lost_face_frames", sa.JSON(), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("worker_log", sa.String(), nullable=False),
        sa.Column("out_files", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("parent_span_id", sa.String(16)),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("trashed_at", sa.DateTime(timezone=True), index=True),
    )
    op.create_index("ix_renders_queue", "renders", ["state", "priority", "created_at"])
    op.create_table(
        "scenes",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("project_id", "projects", nullable=False, index=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("webhook_id", "webhooks", nullable=False, index=True),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", ["state", "next_at"])
    op.create_table(
        "asset_tags",
        _part_of("asset_id", "assets", primary_key=True),
        sa.Column("tag", sa.String(60), primary_key=True, index=True),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "memory_tellings",
        _part_of("memory_id", "memories", primary_key=True),
        sa.Column("session_id", sa.String(40), primary_key=True),
        sa.Column("turn", sa.Integer(), primary_key=True),
    )
    op.create_table(
        "publications",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("render_id", sa.String(40), sa.ForeignKey("renders.id", ondelete="SET NULL"), index=True),
        sa.Column(
            "account_id",
            sa.String(40),
            sa.ForeignKey("publishing_accounts.id", ondelete="SET NULL"),
            index=True,
        ),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("wishes", sa.JSON(), nullable=False),
        sa.Column("session_url_sealed", sa.Text()),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("bytes_sent", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), nullable=False),
        sa.Column("maybe_whole", sa.Boolean(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True)),
        sa.Column("video_id", sa.String(40)),
        sa.Column("url", sa.String(200)),
        sa.Column("extras_done", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("waits", sa.String(400), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("trace_id", sa.String(32)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_index("ix_publications_due", "publications", ["state", "next_at"])
    op.create_table(
        "render_outputs",
        _part_of("render_id", "renders", primary_key=True),
        sa.Column("role", sa.String(20), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(71), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "render_segments",
        _part_of("render_id", "renders", primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("scene_id", sa.String(64), nullable=False),
        sa.Column("segment_key", sa.String(120), nullable=False, index=True),
        sa.Column("reused", sa.Boolean()),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "webhook_tries",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("delivery_id", "webhook_deliveries", nullable=False, index=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("answer", sa.String(500), nullable=False),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "triggers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("principal_id", sa.String(80), nullable=False, index=True),
        sa.Column("principal_name", sa.String(100), nullable=False),
        sa.Column("principal_kind", sa.String(20), nullable=False),
        sa.Column("principal_role", sa.String(40), nullable=False),
        _part_of("session_id", "agent_sessions", nullable=False),
        sa.Column("after_id", sa.String(40)),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("condition", sa.JSON(), nullable=False),
        sa.Column("calls", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fires_at", sa.DateTime(timezone=True)),
        sa.Column("fired_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "persona_files",
        sa.Column("tenant", sa.String(80), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "pronunciations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("word", sa.String(64), nullable=False),
        sa.Column("spoken", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.UniqueConstraint("tenant", "key", name=op.f("uq_pronunciations_tenant_key")),
    )
    op.create_table(
        "brands",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(800), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("kit", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.UniqueConstraint("tenant", "key", name=op.f("uq_brands_tenant_key")),
    )
    op.create_table(
        "share_links",
        sa.Column("id", sa.String(40), primary_key=True),
        _part_of("render_id", "renders", nullable=False, index=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
    )
    op.create_table(
        "first_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("presenter", sa.String(80)),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("dismissed", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False, unique=True),
    )
