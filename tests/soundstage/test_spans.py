"""Spans: recorded without the SDK, stored within bounds, exported by OTLP where the variables ask for it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from soundstage.database.tenants import DEFAULT_TENANT, tenant_scope
from soundstage.errors import NotFound
from soundstage.tracing import (
    Kind,
    continue_trace,
    record_finished,
    span,
    span_id,
    trace,
    trace_id,
    traceparent,
)
from soundstage.tracing.export import export_requested, recording
from soundstage.tracing.records import MAX_TEXT, SpanRecord
from soundstage.tracing.store import FLUSH_S, SLOW_NS, SpanStore, without_quick_reads

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpanStore]:
    created = SpanStore(tmp_path / "traces", "studio")
    with recording(created):
        yield created


def names(store: SpanStore, subject: str, tenant: str = DEFAULT_TENANT) -> list[str]:
    return [record.name for record in store.find(subject, tenant)]


def test_nothing_is_recorded_where_nobody_stores_it() -> None:
    with trace(ID), span("outer"):
        assert trace_id() == ID and span_id() is None


def test_spans_know_their_parents_and_the_first_has_the_trace_id_of_the_request(store: SpanStore) -> None:
    with trace(ID), span("outer", {"soundstage.render.id": "rnd_1"}) as outer:
        assert trace_id() == ID and outer.is_recording()
        with span("inner", kind=Kind.CLIENT):
            assert traceparent().startswith(f"00-{ID}-")
    found = {record.name: record for record in store.find(ID, DEFAULT_TENANT)}
    assert found["outer"].parent_id is None and found["outer"].trace_id == ID
    assert found["inner"].parent_id == found["outer"].span_id and found["inner"].kind == "client"
    assert (
        found["outer"].start_ns <= found["inner"].start_ns <= found["inner"].end_ns <= found["outer"].end_ns
    )
    assert names(store, "rnd_1") == ["outer", "inner"]
    assert store.find("rnd_", DEFAULT_TENANT) == [] == store.find("f" * 32, DEFAULT_TENANT)


def test_a_remote_parent_is_continued(store: SpanStore) -> None:
    with continue_trace(f"00-{ID}-{PARENT}-01"), span("server"):
        pass
    with trace(ID, parent=PARENT), span("later"):
        pass
    assert [record.parent_id for record in store.find(ID, DEFAULT_TENANT)] == [PARENT, PARENT]


def test_an_error_leaves_its_code_and_never_its_message(store: SpanStore) -> None:
    with pytest.raises(NotFound), trace(ID), span("find"):
        raise NotFound("render.not_found", "There is no render “secret plans”.", "Look again.")
    (found,) = store.find(ID, DEFAULT_TENANT)
    assert found.is_error and found.attributes == {"error.type": "render.not_found"}


def test_long_texts_are_cut_and_other_types_left_out(store: SpanStore) -> None:
    with trace(ID), span("long", {"text": "x" * 1000}) as recorded:
        recorded.set_attribute("list", ["a"])
    (found,) = store.find(ID, DEFAULT_TENANT)
    assert len(str(found.attributes["text"])) == MAX_TEXT and "list" not in found.attributes


def test_each_tenant_finds_its_own(store: SpanStore) -> None:
    with trace(ID):
        with tenant_scope("acme"), span("of acme", {"soundstage.render.id": "rnd_1"}):
            pass
        with span("of the operator"):
            pass
    assert names(store, ID, "acme") == ["of acme"] == names(store, "rnd_1", "acme")
    assert names(store, ID) == ["of the operator"]
    assert names(store, ID, "rival") == [] == names(store, "rnd_1", "rival")


def request(method: str, ns: int, *, is_error: bool = False, parent: str | None = None) -> SpanRecord:
    attributes: dict[str, str | bool | int | float] = {"http.request.method": method}
    number = f"{ns:016x}"
    return SpanRecord(ID, number, parent, method, "server", 0, ns, is_error, attributes)


def test_quick_reads_are_not_stored_with_all_that_they_did() -> None:
    quick, slow, wrong, write = (
        request("GET", 10),
        request("GET", SLOW_NS),
        request("GET", 20, is_error=True),
        request("POST", 30),
    )
    inside = SpanRecord(ID, "a" * 16, quick.span_id, "policy", "internal", 0, 5, False, {})
    stored = list(without_quick_reads([inside, quick, slow, wrong, write]))
    assert stored == [slow, wrong, write]
    failed = SpanRecord(ID, "b" * 16, quick.span_id, "policy", "internal", 0, 5, True, {})
    assert list(without_quick_reads([failed, quick])) == [failed, quick]


def test_the_folder_stays_within_its_bound_and_drops_the_oldest(tmp_path: Path) -> None:
    folder, bound = tmp_path / "traces", 64 << 10
    created = SpanStore(folder, "studio", max_bytes=bound)
    with recording(created):
        for number in range(40):
            with trace(f"{number + 1:032x}"):
                for _ in range(40):
                    with span("step", {"text": "x" * 100}):
                        pass
            created.flush()
        assert sum(path.stat().st_size for path in folder.iterdir()) <= bound
        assert names(created, f"{40:032x}") == ["step"] * 40
        assert names(created, f"{1:032x}") == []
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_line_that_a_killed_process_cut_off_is_skipped(store: SpanStore, tmp_path: Path) -> None:
    with trace(ID), span("whole"):
        pass
    store.flush()
    (file,) = (tmp_path / "traces").iterdir()
    line = file.read_bytes()
    file.write_bytes(line + line[: len(line) // 2])
    assert names(store, ID) == ["whole"]


def test_to_close_waits_for_no_pause_and_loses_nothing(tmp_path: Path) -> None:
    created = SpanStore(tmp_path / "traces", "studio")
    began = time.monotonic()
    for _ in range(5):
        with recording(created), trace(ID), span("last"):
            pass
    assert time.monotonic() - began < 5 * FLUSH_S
    assert names(created, ID) == ["last"] * 5


def test_other_processes_find_what_one_has_written(store: SpanStore, tmp_path: Path) -> None:
    with trace(ID), span("here"):
        pass
    store.flush()
    assert names(SpanStore(tmp_path / "traces", "provisioning"), ID) == ["here"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_alone_ask_for_an_export(environment: dict[str, str], expected: bool) -> None:
    assert export_requested(environment) is expected


class Receiver(HTTPServer):
    """An OTLP/HTTP receiver: keeps the requests that come."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    created = Receiver()
    thread = threading.Thread(target=created.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield created
    created.shutdown()
    created.server_close()
    thread.join()


def test_otlp_brings_our_spans_and_those_of_workers_to_a_collector(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=stage")
    store = SpanStore(tmp_path / "traces", "studio")
    with recording(store):
        with trace(ID), span("render", {"soundstage.render.id": "rnd_1"}, Kind.SERVER):
            parent = span_id()
            worker = SpanRecord(ID, PARENT, parent, "frames", "internal", 5, 9, True, {"n": 3}, "worker")
            record_finished(worker)
        assert names(store, ID) == ["frames", "render"]
    found = {
        one.name: (one, {each.key: each.value.string_value for each in resource.resource.attributes})
        for path, batch in receiver.requests
        for resource in batch.resource_spans
        for scope in resource.scope_spans
        for one in scope.spans
        if path == "/v1/traces"
    }
    sent, resource = found["render"]
    assert sent.trace_id.hex() == ID and sent.parent_span_id == b"" and sent.span_id.hex() == parent
    assert resource["service.name"] == "studio" and resource["deployment.environment.name"] == "stage"
    sent, resource = found["frames"]
    assert sent.parent_span_id.hex() == parent and resource["service.name"] == "worker"
    assert (sent.start_time_unix_nano, sent.end_time_unix_nano) == (5, 9) and sent.status.code == 2


PROGRAM = """
import sys
from pathlib import Path

class Missing:
    def find_spec(self, name, path=None, target=None):
        if BLOCKED and name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = sys.argv[2] == "blocked"
sys.meta_path.insert(0, Missing())
import app.composition, app.provisioning
from soundstage.tracing import span, trace
from soundstage.tracing.export import recording
from soundstage.tracing.store import SpanStore

store = SpanStore(Path(sys.argv[1]), "studio")
with recording(store):
    with trace("4bf92f3577b34da6a3ce929d0e0e4736"), span("here"):
        pass
    print([one.name for one in store.find("4bf92f3577b34da6a3ce929d0e0e4736", "default")])
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


@pytest.mark.parametrize(("blocked", "endpoint"), [("blocked", "http://127.0.0.1:9"), ("there", None)])
def test_without_the_sdk_or_a_collector_spans_are_stored_and_nothing_of_it_is_imported(
    tmp_path: Path, blocked: str, endpoint: str | None
) -> None:
    environment = {} if endpoint is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "traces"), blocked],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.splitlines()[-2:] == ["['here']", "[]"], done.stderr
    assert ("traces.no_sdk" in done.stdout + done.stderr) is (endpoint is not None)
