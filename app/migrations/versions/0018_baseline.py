"""All tables of the studio, as migrations 0001 to 0018 left them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_sessions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(80), server_default="default", nullable=False),
        sa.Column("principal_id", sa.String(80), nullable=False),
        sa.Column("persona_id", sa.String(80)),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("last_render_id", sa.String(40)),
        sa.Column("last_project_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_sessions")),
    )
    op.create_index(op.f("ix_agent_sessions_principal_id"), "agent_sessions", ["principal_id"])
    op.create_index(op.f("ix_agent_sessions_updated_at"), "agent_sessions", ["updated_at"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("replaced_by", sa.String(40)),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["api_keys.id"], name=op.f("fk_api_keys_replaced_by_api_keys")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_keys_sha256")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
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
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("last_render_id", sa.String(40)),
        sa.Column("last_project_id", sa.String(40)),
        sa.Column("local_files", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_until", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_session_id"), "approvals", ["session_id"])
    op.create_index(op.f("ix_approvals_state"), "approvals", ["state"])
    op.create_table(
        "audit_lines",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("session_id", sa.String(40)),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("words", sa.JSON(none_as_null=True)),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_lines")),
    )
    op.create_index(op.f("ix_audit_lines_session_id"), "audit_lines", ["session_id"])
    op.create_index(op.f("ix_audit_lines_subject"), "audit_lines", ["subject"])
    op.create_index(op.f("ix_audit_lines_trace_id"), "audit_lines", ["trace_id"])
    op.create_table(
        "blob_references",
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("sha256", sa.String(71), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", "owner", "role", name=op.f("pk_blob_references")),
    )
    op.create_index(op.f("ix_blob_references_owner"), "blob_references", ["owner"])
    op.create_table(
        "cloned_voices",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("service", sa.String(500), nullable=False),
        sa.Column("api_key_env", sa.String(128)),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("voice_id", sa.String(200), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("consent_id", sa.String(40), nullable=False),
        sa.Column("own_consent", sa.Boolean(), nullable=False),
        sa.Column("sample_sha256", sa.String(71)),
        sa.Column("sample_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cloned_voices")),
    )
    op.create_index(op.f("ix_cloned_voices_consent_id"), "cloned_voices", ["consent_id"])
    op.create_index(op.f("ix_cloned_voices_service"), "cloned_voices", ["service"])
    op.create_table(
        "consents",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence_sha256", sa.String(71)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_table(
        "derivations",
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner", "source", name=op.f("pk_derivations")),
    )
    op.create_index(op.f("ix_derivations_source"), "derivations", ["source"])
    op.create_table(
        "ended_logins",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_logins")),
    )
    op.create_index(op.f("ix_ended_logins_expires_at"), "ended_logins", ["expires_at"])
    op.create_table(
        "event_streams",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_streams")),
    )
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("stream", "seq", name=op.f("uq_events_stream_seq")),
    )
    op.create_index("ix_events_stream_id", "events", ["stream", "id"])
    op.create_table(
        "farm_runs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("stage", sa.String(100), nullable=False),
        sa.Column("work", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_farm_runs")),
    )
    op.create_index(op.f("ix_farm_runs_stage"), "farm_runs", ["stage"])
    op.create_table(
        "farm_tickets",
        sa.Column("task_id", sa.String(200), nullable=False),
        sa.Column("job_id", sa.String(250), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("task", sa.JSON(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("end", sa.JSON()),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_farm_tickets")),
    )
    op.create_index(op.f("ix_farm_tickets_job_id"), "farm_tickets", ["job_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(80), nullable=False),
        sa.Column("operation", sa.String(40), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(71), nullable=False),
        sa.Column("made", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("principal", "operation", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])
    op.create_table(
        "memory_shelves",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("persona_id", sa.String(80), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memory_shelves")),
        sa.UniqueConstraint(
            "tenant", "subject", "persona_id", name=op.f("uq_memory_shelves_tenant_subject_persona_id")
        ),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("subtitle", sa.String(400), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("tenant", "slug", name=op.f("uq_projects_tenant_slug")),
    )
    op.create_table(
        "publishing_accounts",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("channel_id", sa.String(100), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("refresh_token_sealed", sa.Text(), nullable=False),
        sa.Column("access_token_sealed", sa.Text(), nullable=False),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("connected_by", sa.String(200), nullable=False),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publishing_accounts")),
        sa.UniqueConstraint("tenant", "channel_id", name=op.f("uq_publishing_accounts_tenant_channel_id")),
    )
    op.create_table(
        "publishing_pending_consents",
        sa.Column("state_sha256", sa.String(64), nullable=False),
        sa.Column("verifier_sealed", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.String(500), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_publishing_pending_consents")),
    )
    op.create_table(
        "publishing_quota_days",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_publishing_quota_days")),
    )
    op.create_table(
        "segments",
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("error", sa.JSON()),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_segments")),
    )
    op.create_index(op.f("ix_segments_used_at"), "segments", ["used_at"])
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.Column("owner_id", sa.String(80), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("name_key", sa.String(160), nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint(
            "tenant", "owner_id", "name_key", name=op.f("uq_snapshots_tenant_owner_id_name_key")
        ),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("creator", sa.String(200), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index(op.f("ix_uploads_expires_at"), "uploads", ["expires_at"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "agent_turns",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("utterance", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(64)),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("trace_id", sa.String(64)),
        sa.Column("request_id", sa.String(80)),
        sa.Column("alive_until", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["agent_sessions.id"],
            name=op.f("fk_agent_turns_session_id_agent_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "number", name=op.f("pk_agent_turns")),
    )
    op.create_index(op.f("ix_agent_turns_request_id"), "agent_turns", ["request_id"])
    op.create_table(
        "approval_votes",
        sa.Column("approval_id", sa.String(40), nullable=False),
        sa.Column("person", sa.String(80), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"],
            ["approvals.id"],
            name=op.f("fk_approval_votes_approval_id_approvals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("approval_id", "person", name=op.f("pk_approval_votes")),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40)),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(71), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("duration_ms", sa.Integer()),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_assets_project_id_projects"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
    )
    op.create_index(op.f("ix_assets_project_id"), "assets", ["project_id"])
    op.create_index(op.f("ix_assets_sha256"), "assets", ["sha256"])
    op.create_table(
        "continuations",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("snapshot_name", sa.String(80), nullable=False),
        sa.Column("after_turn", sa.Integer(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["agent_sessions.id"],
            name=op.f("fk_continuations_session_id_agent_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_continuations")),
    )
    op.create_table(
        "memories",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("shelf_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary()),
        sa.Column("model", sa.String(60)),
        sa.Column("session_id", sa.String(40)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["shelf_id"],
            ["memory_shelves.id"],
            name=op.f("fk_memories_shelf_id_memory_shelves"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memories")),
        sa.UniqueConstraint("shelf_id", "number", name=op.f("uq_memories_shelf_id_number")),
        sa.UniqueConstraint("shelf_id", "text_sha256", name=op.f("uq_memories_shelf_id_text_sha256")),
    )
    op.create_table(
        "project_versions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(71), nullable=False),
        sa.Column("spec", sa.JSON()),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_project_versions_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_versions")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_project_versions_project_id_number")),
    )
    op.create_index(op.f("ix_project_versions_project_id"), "project_versions", ["project_id"])
    op.create_table(
        "renders",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_hash", sa.String(71), nullable=False),
        sa.Column("scene_id", sa.String(64)),
        sa.Column("personas", sa.JSON(), nullable=False),
        sa.Column("project_id", sa.String(40)),
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
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_renders_project_id_projects"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renders")),
    )
    op.create_index(op.f("ix_renders_project_id"), "renders", ["project_id"])
    op.create_index("ix_renders_queue", "renders", ["state", "priority", "created_at"])
    op.create_index(op.f("ix_renders_spec_hash"), "renders", ["spec_hash"])
    op.create_table(
        "scenes",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_scenes_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenes")),
    )
    op.create_index(op.f("ix_scenes_project_id"), "scenes", ["project_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("webhook_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_deliveries_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", ["state", "next_at"])
    op.create_index(op.f("ix_webhook_deliveries_webhook_id"), "webhook_deliveries", ["webhook_id"])
    op.create_table(
        "asset_tags",
        sa.Column("asset_id", sa.String(40), nullable=False),
        sa.Column("tag", sa.String(60), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_asset_tags_asset_id_assets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", "tag", name=op.f("pk_asset_tags")),
    )
    op.create_index(op.f("ix_asset_tags_tag"), "asset_tags", ["tag"])
    op.create_table(
        "memory_tellings",
        sa.Column("memory_id", sa.String(40), nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["memory_id"],
            ["memories.id"],
            name=op.f("fk_memory_tellings_memory_id_memories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("memory_id", "session_id", "turn", name=op.f("pk_memory_tellings")),
    )
    op.create_table(
        "publications",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("render_id", sa.String(40)),
        sa.Column("account_id", sa.String(40)),
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
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["publishing_accounts.id"],
            name=op.f("fk_publications_account_id_publishing_accounts"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["render_id"], ["renders.id"], name=op.f("fk_publications_render_id_renders"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publications")),
    )
    op.create_index(op.f("ix_publications_account_id"), "publications", ["account_id"])
    op.create_index("ix_publications_due", "publications", ["state", "next_at"])
    op.create_index(op.f("ix_publications_render_id"), "publications", ["render_id"])
    op.create_table(
        "render_outputs",
        sa.Column("render_id", sa.String(40), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(71), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["render_id"],
            ["renders.id"],
            name=op.f("fk_render_outputs_render_id_renders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("render_id", "role", name=op.f("pk_render_outputs")),
    )
    op.create_table(
        "render_segments",
        sa.Column("render_id", sa.String(40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("scene_id", sa.String(64), nullable=False),
        sa.Column("segment_key", sa.String(120), nullable=False),
        sa.Column("reused", sa.Boolean()),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["render_id"],
            ["renders.id"],
            name=op.f("fk_render_segments_render_id_renders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("render_id", "position", name=op.f("pk_render_segments")),
    )
    op.create_index(op.f("ix_render_segments_segment_key"), "render_segments", ["segment_key"])
    op.create_table(
        "webhook_tries",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("delivery_id", sa.String(40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("answer", sa.String(500), nullable=False),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("tenant", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name=op.f("fk_webhook_tries_delivery_id_webhook_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_tries")),
    )
    op.create_index(op.f("ix_webhook_tries_delivery_id"), "webhook_tries", ["delivery_id"])
