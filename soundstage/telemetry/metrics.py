"""Declares every metric of the product; rooms only move them: `metrics.SEGMENTS.inc("done")`.

Names begin with `soundstage_` in a query, and those of counters end with `_total`. No label ever holds a
tenant, user, session or file name. `docs/reference/metrics.md` is generated from here, and
`tests/project/test_metrics_are_moved.py` holds that a test moves each by a real action.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from soundstage.telemetry.instruments import Bound, Counter, Declaration, Gauge, Histogram, StateGauge

REQUEST_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WORK_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
STATEMENT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
MODEL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SPEECH_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
BOOT_BUCKETS = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0, 1800.0)
RATIO_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

CONTROL = frozenset({"control"})
PROVISIONING = frozenset({"provisioning"})
BOTH = CONTROL | PROVISIONING
NODE = frozenset({"node"})
"""Written into a file of node-exporter by a program on each node."""

_DECLARED: list[Counter | Gauge | Histogram | StateGauge] = []


def _counter(name: str, sentence: str, processes: frozenset[str] = CONTROL, **labels: Bound) -> Counter:
    one = Counter(Declaration(name, "counter", sentence, labels, processes=processes))
    _DECLARED.append(one)
    return one


def _gauge(name: str, sentence: str, processes: frozenset[str] = CONTROL, **labels: Bound) -> Gauge:
    one = Gauge(Declaration(name, "gauge", sentence, labels, processes=processes))
    _DECLARED.append(one)
    return one


def _histogram(
    name: str,
    sentence: str,
    buckets: tuple[float, ...],
    processes: frozenset[str] = CONTROL,
    *,
    exemplars: bool = True,
    **labels: Bound,
) -> Histogram:
    one = Histogram(Declaration(name, "histogram", sentence, labels, buckets, processes, exemplars))
    _DECLARED.append(one)
    return one


def _state(name: str, sentence: str, processes: frozenset[str] = CONTROL, **labels: Bound) -> StateGauge:
    one = StateGauge(Declaration(name, "state", sentence, labels, processes=processes))
    _DECLARED.append(one)
    return one


# Requests

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET", "OTHER")
_ROUTES = "templates of routes, with names in place of ids"
REQUESTS = _counter(
    "http_requests", "Requests answered.", BOTH, method=METHODS, route=_ROUTES, status="HTTP status codes"
)
REQUEST_SECONDS = _histogram(
    "http_request_seconds", "Time to the last byte of an answer.", REQUEST_BUCKETS, BOTH,
    method=METHODS, route=_ROUTES,
)  # fmt: skip
REQUESTS_RUNNING = _gauge("http_requests_running", "Requests being answered now.", BOTH)

# Renders

RENDER_STATES = ("queued", "placed", "running", "done", "failed", "cancelled")
ENDS = ("done", "failed", "cancelled")
ENGINES = ("rig", "mesh", "motion", "liveportrait", "latentsync", "liveportrait+latentsync", "mixed", "none")
RENDERS = _state("renders", "Renders that are stored, by state.", state=RENDER_STATES)
RENDER_OLDEST_WAIT = _state("render_oldest_wait_seconds", "Age of the oldest queued render; 0 without one.")
RENDERS_FINISHED = _counter("renders_finished", "Renders ended.", state=ENDS)
RENDER_SECONDS = _histogram(
    "render_seconds", "Time from the dispatch of a render to its files.", WORK_BUCKETS, engine=ENGINES
)
SEGMENTS = _counter(
    "segments", "Segments by result; `reused` was in the cache.", result=("done", "reused", *ENDS[1:])
)

# Tasks of workers, on this machine or on a farm

KINDS = (
    "segment", "assemble", "render", "preview", "lipsync", "still", "prepare", "probe", "speak", "look",
    "poster", "storyboard", "peaks", "proxy", "sound", "captions",
)  # fmt: skip
TASKS = _gauge(
    "tasks", "Tasks of workers that have not ended, by state.", state=("queued", "placed", "running")
)
TASKS_FINISHED = _counter("tasks_finished", "Tasks of workers ended.", kind=KINDS, result=ENDS)
TASK_SECONDS = _histogram(
    "task_seconds", "Time from a worker's start to the end of its task.", WORK_BUCKETS, kind=KINDS
)
QUEUE_WAIT = _histogram("queue_wait_seconds", "Time of a task from its queue to a worker.", WORK_BUCKETS)
FRAMES = _counter("frames", "Frames drawn.", engine=ENGINES)
REALTIME_RATIO = _histogram(
    "realtime_ratio", "Seconds of video per second of work of a segment.", RATIO_BUCKETS, engine=ENGINES
)

# The farm

_NODES, _CARDS = "nodes of the farm", "cards of the farm, by UUID; empty for what needs none"
NODES = _state(
    "nodes", "Nodes of the farm that are up and fit for our tasks, by state.", state=("ready", "drained")
)
LEASES_MIB = _state(
    "leases_mib", "Memory of cards by lease: held by tasks, or free.",
    node=_NODES, card=_CARDS, kind=("held", "free"),
)  # fmt: skip
CARD_MEMORY_MIB = _state("card_memory_mib", "Memory that a card has.", node=_NODES, card=_CARDS)
NOMAD_DISPATCH = _histogram(
    "nomad_dispatch_seconds", "Time to register the job of a task with Nomad.", REQUEST_BUCKETS
)
TASKS_MOVED = _counter(
    "tasks_moved", "Tasks that left their node before they ended.", reason=("lost", "drained", "card")
)

FARM_FILES = _counter(
    "farm_files", "Files of a farm's workers, by the way that they took.",
    direction=("input", "output"), way=("bucket", "control"),
)  # fmt: skip

# Language models and the conversation

_MODELS = "models that are set or found in Consul"
MODEL_REQUESTS = _counter(
    "model_requests", "Requests to language models.", model=_MODELS, outcome="`ok` or an error code"
)
MODEL_TOKENS = _counter(
    "model_tokens", "Tokens of language models: prompt, cached (of the prompt), answer.",
    model=_MODELS, kind=("prompt", "cached", "answer"),
)  # fmt: skip
MODEL_FIRST_PIECE = _histogram(
    "model_first_piece_seconds", "Time to the first piece of an answer.", MODEL_BUCKETS, model=_MODELS
)
MODEL_SECONDS = _histogram(
    "model_seconds", "Time of a request to a language model.", MODEL_BUCKETS, model=_MODELS
)
ROUTING = _counter(
    "routing", "Turns of conversations, by what answered and how it ended.",
    backend=("grammar", "reader", "model", "none"), result=("ok", "failed", "cancelled"),
)  # fmt: skip
TURN_SECONDS = _histogram("turn_seconds", "Time of a whole turn.", MODEL_BUCKETS)
TOOL_SECONDS = _histogram(
    "tool_seconds", "Time of a tool call, with policy and audit.", REQUEST_BUCKETS,
    tool="tools of the agent; `mcp` for those of MCP servers",
    result=("ok", "approval", "refused", "failed", "cancelled"),
)  # fmt: skip
APPROVAL_STATES = ("pending", "approved", "running", "done", "failed", "lost", "denied", "expired", "void")
APPROVALS = _state("approvals", "Approvals that are stored, by state.", state=APPROVAL_STATES)
APPROVAL_OLDEST_WAIT = _state(
    "approval_oldest_wait_seconds", "Age of the oldest approval that waits for people; 0 without one."
)
POLICY_DECISIONS = _counter(
    "policy_decisions", "Decisions of the policy.", BOTH, decision=("allow", "deny", "approve")
)

# Voice

VOICE_FIRST_AUDIO = _histogram(
    "voice_first_audio_seconds", "Time from the end of a person's message to the sound of the answer.",
    SPEECH_BUCKETS,
)  # fmt: skip
VOICE_SESSIONS = _state(
    "voice_sessions", "Conversations aloud, by what the persona does.",
    state=("waiting", "listening", "thinking", "speaking"),
)  # fmt: skip
VOICE_BARGE_IN = _histogram(
    "voice_barge_in_seconds", "Time from the beginning of an interruption to silence.", REQUEST_BUCKETS
)
TRANSCRIPTION_SECONDS = _histogram(
    "transcription_seconds", "Time of a recogniser for free speech or a recording.", WORK_BUCKETS,
    recogniser=("embedded", "openai", "whisper"), source=("speech", "recording"),
)  # fmt: skip

# What leaves the studio

PUBLICATION_STATES = ("queued", "uploading", "processing", "published", "failed", "cancelled")
PUBLICATIONS = _state("publications", "Publications that are stored, by state.", state=PUBLICATION_STATES)
DELIVERIES = _state(
    "webhook_deliveries", "Deliveries of webhooks that are stored, by state.",
    state=("pending", "delivered", "failed"),
)  # fmt: skip
WEBHOOK_POSTS = _counter("webhook_posts", "Attempts to deliver to a webhook.", result=("ok", "failed"))
TRIGGERS = _state(
    "triggers", "Triggers that are stored, by state.",
    state=("waiting", "firing", "fired", "failed", "cancelled"),
)  # fmt: skip

# Machines

MACHINE_STATES = (
    "discovered", "accepted", "deploying", "enrolled", "configuring", "ready", "draining",
    "wipe_unverified", "retired", "failed",
)  # fmt: skip
BOOT_STAGES = (
    "kernel", "drivers", "network", "report", "fetch the installer", "stream the image", "grow and enrol",
    "Nomad ready",
)  # fmt: skip
RUN_STATES = ("queued", "running", "succeeded", "failed", "cancelled", "lost")
MACHINES = _state("machines", "Machines, by state.", PROVISIONING, state=MACHINE_STATES)
HEALING_STATES = (
    "waiting", "draining", "restarting", "checking", "reinstalling", "needs_operator", "paused",
)  # fmt: skip
HEALING_CASES = _state(
    "healing_cases", "Machines whose node fails, by state of healing.", PROVISIONING, state=HEALING_STATES
)
HEALING_ENDED = _counter(
    "healing_ended", "Cases of self-healing that ended.", PROVISIONING, state=("recovered", "closed"),
    cause=("checks", "card", "silent"),
)  # fmt: skip
BOOT_STAGE = _histogram(
    "boot_stage_seconds", "Time of a stage between power-on and ready.", BOOT_BUCKETS, PROVISIONING,
    stage=(*BOOT_STAGES, "other"),
)  # fmt: skip
RUNS_OPEN = _state("runs_open", "Runs of Ansible that have not ended.", PROVISIONING, state=RUN_STATES[:2])
RUNS_FINISHED = _counter("runs", "Runs of Ansible ended.", PROVISIONING, result=RUN_STATES[2:])
RUN_SECONDS = _histogram(
    "run_seconds", "Time of a run of Ansible.", WORK_BUCKETS, PROVISIONING, result=RUN_STATES[2:]
)

# The installation

DATABASE_SECONDS = _histogram(
    "database_seconds", "Time of a statement in the database.", STATEMENT_BUCKETS, BOTH,
    # A trace has many statements: finding an exemplar for each would cost more than counting it.
    exemplars=False,
    statement=("select", "insert", "update", "delete", "other"),
)  # fmt: skip
DATABASE_WRITERS = _state("database_writers", "Transactions that write or wait for their turn.", BOTH)
EVENTS = _counter("events", "Events committed.", BOTH, kind="kinds of events, such as `render.state`")
EVENT_FOLLOWERS = _state("event_followers", "Open streams of events.", BOTH)
BLOB_BYTES = _state("blob_bytes", "Size of the files in the blob store.")
DISK_FREE = _state("disk_free_bytes", "Free space on the disk of the state folder.", BOTH)
BACKGROUND_POLLS = _counter(
    "background_polls", "Polls and steps of background workers.", BOTH,
    worker="background workers", result=("ok", "failed"),
)  # fmt: skip
OUTGOING_SECONDS = _histogram(
    "outgoing_seconds", "Time of an HTTP request to another server, to its headers.", REQUEST_BUCKETS, BOTH,
    destination=("internal", "external"), result=("ok", "refused", "failed"),
)  # fmt: skip
LOG_LINES = _counter(
    "log_lines", "Lines of the log.", BOTH, level=("debug", "info", "warning", "error", "critical")
)
AUDIT_BROKEN = _gauge(
    "audit_chain_broken", "1 when the last check found the audit log changed, else 0.", BOTH
)
AUDIT_CHECKED = _gauge("audit_checked_timestamp_seconds", "When the audit log was checked last.", BOTH)
CERTIFICATE_EXPIRES = _state(
    "certificate_expires_timestamp_seconds", "When a certificate ends; of machines, the first.", BOTH,
    certificate=("studio", "studio authority", "provisioning", "provisioning authority", "machines"),
)  # fmt: skip
INFO = _state("info", "1, with the version that runs.", BOTH, version="the version that runs")

# Nodes, by node-exporter

_FILE = "Written by the device plugin."
CARD_UP = _state(
    "card_healthy", f"1 while a card works, else 0. {_FILE}", NODE, card=_CARDS, model="models of cards"
)
CARD_TEMPERATURE = _state("card_temperature_celsius", f"Temperature of a card. {_FILE}", NODE, card=_CARDS)
CARD_POWER = _state("card_power_watts", f"Power that a card draws. {_FILE}", NODE, card=_CARDS)
CARD_LOAD = _state("card_load_ratio", f"Share of time in which a card computes. {_FILE}", NODE, card=_CARDS)
CARD_USED = _state("card_memory_used_bytes", f"Memory of a card in use. {_FILE}", NODE, card=_CARDS)
CARD_MEMORY = _state("card_memory_bytes", f"Memory of a card. {_FILE}", NODE, card=_CARDS)
CARD_ECC = _state(
    "card_ecc_errors", f"Memory errors of a card since the driver was loaded. {_FILE}", NODE,
    card=_CARDS, kind=("corrected", "uncorrected"),
)  # fmt: skip
CARDS_WRITTEN = _state("cards_written_timestamp_seconds", f"When these figures were written. {_FILE}", NODE)
BACKUP_SUCCESS = _state(
    "backup_last_success_timestamp_seconds",
    "When a backup ended well last. Written by the role backup.",
    NODE,
)

_CHECKS = "Written by the role health."
NODE_PROBLEMS = _state(
    "node_problems", f"Problems that the checks of a node find. {_CHECKS}", NODE,
    check="checks of the node", code="codes of problems",
)  # fmt: skip
NODE_CHECKED = _state(
    "node_check_timestamp_seconds", f"When a check of a node ended last. {_CHECKS}", NODE,
    check="checks of the node",
)  # fmt: skip
NODE_CERTIFICATE = _state(
    "node_certificate_expires_timestamp_seconds", f"When a certificate of a node ends. {_CHECKS}", NODE,
    path="files of the role health",
)  # fmt: skip


def engine_of(engines: Collection[str]) -> str:
    """Returns the label of what several engines have drawn."""
    return next(iter(engines), "none") if len(engines) < 2 else "mixed"


def list_metrics(process: str | None = None) -> Sequence[Counter | Gauge | Histogram | StateGauge]:
    """Returns all metrics, or those of a process: `control`, `provisioning`, `node`."""
    return [one for one in _DECLARED if process is None or process in one.declaration.processes]


def reset() -> None:
    """Starts all from nothing; for tests."""
    for one in _DECLARED:
        if not isinstance(one, StateGauge):
            one.reset()
