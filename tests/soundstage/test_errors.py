from __future__ import annotations

import pickle
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Query, WebSocket
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, SecretStr, field_validator
from sentences import SentenceSnapshot
from starlette.websockets import WebSocketDisconnect

from soundstage.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    SoundstageError,
    StorageFull,
    TooLarge,
    Unauthorized,
    Unavailable,
    Upstream,
    install_error_handlers,
    problem_of,
)
from soundstage.telemetry import install_telemetry


class Scene(BaseModel):
    script: str


class Project(BaseModel):
    title: str
    scenes: list[Scene]


class Announcement(BaseModel):
    secret: Annotated[SecretStr, Field(min_length=16)]
    serial: Annotated[str, Field(pattern="^[A-Z]+$", max_length=4)]
    title: str = ""

    @field_validator("title")
    @classmethod
    def _no_marks(cls, title: str) -> str:
        if "<" in title:
            raise ValueError("a title has no marks")
        return title


def an_app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/missing")
    async def missing() -> None:
        raise NotFound("project.not_found", "There is no project p1.", "List them.")

    @app.get("/retry")
    async def retry() -> None:
        raise Unavailable("database.busy", "Busy.", headers={"Retry-After": "3"})

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("hunter2")

    @app.post("/projects")
    async def create(project: Project) -> Project:
        return project

    @app.get("/page")
    async def page(number: Annotated[int, Query(ge=1)]) -> int:
        return number

    @app.websocket("/refused")
    async def refused(socket: WebSocket) -> None:
        raise Forbidden("policy.forbidden", "Not for you.")

    @app.websocket("/broken")
    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise Forbidden("policy.forbidden", "Not for you. " + "ö" * 200)

    install_telemetry(app)
    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(an_app(), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Invalid, 422),
        (Unauthorized, 401),
        (Forbidden, 403),
        (NotFound, 404),
        (Conflict, 409),
        (TooLarge, 413),
        (Upstream, 502),
        (Unavailable, 503),
        (StorageFull, 507),
        (SoundstageError, 500),
    ],
)
def test_each_class_has_its_status(kind: type[SoundstageError], status: int) -> None:
    assert kind("a.b", "c").status == status
    assert kind("a.b", "c", status=418).status == 418


def test_an_error_reads_as_code_sentence_and_hint() -> None:
    assert str(NotFound("a.b", "It is gone.", "Look elsewhere.")) == "a.b: It is gone. (Look elsewhere.)"
    assert str(NotFound("a.b", "It is gone.")) == "a.b: It is gone."


def test_an_error_survives_the_way_between_processes() -> None:
    error = Unavailable("a.b", "c", "d", 599, headers={"Retry-After": "3"}, field="name")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), vars(again)) == (Unavailable, vars(error))


def test_an_error_names_its_field_as_a_failed_validation_does() -> None:
    document = problem_of(Conflict("snapshot.exists", "It is there.", "Choose another name.", field="name"))
    assert document["errors"] == [{"path": "body.name", "message": "It is there."}]
    assert "errors" not in problem_of(Conflict("a.b", "It is there."))


def test_an_expected_error_leaves_as_a_problem_document(client: TestClient) -> None:
    answer = client.get("/missing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.pop("trace_id") == answer.headers["x-trace-id"]
    assert document == {
        "type": "urn:soundstage:error:project.not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no project p1.",
        "code": "project.not_found",
        "hint": "List them.",
    }


def test_the_headers_of_an_error_go_out(client: TestClient) -> None:
    assert client.get("/retry").headers["retry-after"] == "3"


def test_a_failed_validation_names_each_bad_field_and_repeats_no_value(client: TestClient) -> None:
    answer = client.post(
        "/projects", json={"title": 5, "scenes": [{"script": "ok"}, {"script": {"key": "hunter2"}}]}
    )
    document = answer.json()
    assert (answer.status_code, document["code"]) == (422, "request.invalid")
    assert [found["path"] for found in document["errors"]] == ["body.title", "body.scenes[1].script"]
    assert "body.title" in document["detail"]
    assert "hunter2" not in answer.text


def test_a_thousand_bad_fields_do_not_make_a_long_answer(client: TestClient) -> None:
    answer = client.post("/projects", json={"title": "t", "scenes": [{"script": 1}] * 1000})
    assert len(answer.json()["errors"]) == 50
    assert "and 997 more" in answer.json()["detail"]


def test_a_field_name_that_is_no_text_comes_back_readable(client: TestClient) -> None:
    class Strict(BaseModel, extra="forbid"):
        title: str

    app = an_app()

    @app.post("/strict")
    async def strict(body: Strict) -> None:
        return None

    raw = b'{"title": "t", "\\ud800' + b"x" * 5000 + b'": 1}'
    answer = TestClient(app).post("/strict", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert len(answer.json()["errors"][0]["path"]) < 250


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_the_callers_error(client: TestClient, body: bytes) -> None:
    answer = client.post("/projects", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_frameworks_own_refusals_are_problems_too(client: TestClient, snapshot: SentenceSnapshot) -> None:
    gone = client.get("/nowhere").json()
    assert (gone["code"], gone["detail"]) == ("http.not_found", snapshot("not_found"))
    wrong = client.delete("/missing")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (
        405,
        "http.method_not_allowed",
        "GET",
    )
    assert client.get("/teapot").json()["detail"] == "short and stout"
    assert client.get("/page?number=0").json()["errors"][0]["path"] == "query.number"


def test_an_unexpected_error_leaks_nothing_but_its_trace_id(client: TestClient) -> None:
    answer = client.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.unexpected")
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"]
    assert "hunter2" not in answer.text and "KeyError" not in answer.text


async def test_an_unexpected_error_is_a_problem_without_our_telemetry_as_well() -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("hunter2")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.unexpected")


def test_a_websocket_is_refused_with_the_problem_before_it_opens(client: TestClient) -> None:
    with pytest.raises(Exception) as refusal, client.websocket_connect("/refused"):
        pass
    answer = refusal.value
    assert isinstance(answer, httpx.Response | Exception)
    assert getattr(answer, "status_code", None) == 403
    assert answer.json()["code"] == "policy.forbidden"  # type: ignore[attr-defined]


def test_an_open_websocket_is_closed_with_the_reason(client: TestClient) -> None:
    with client.websocket_connect("/broken") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert closed.value.code == 1008
    assert closed.value.reason.startswith("policy.forbidden: Not for you.")
    assert len(closed.value.reason.encode()) <= 123


def test_what_is_wrong_with_a_field_is_said_without_the_terms_of_the_validator(
    snapshot: SentenceSnapshot,
) -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/announcements")
    async def announce(announcement: Announcement) -> None:
        del announcement

    client = TestClient(app)

    def messages(**body: str) -> list[str]:
        document = client.post("/announcements", json={"secret": "x" * 16, "serial": "AB", **body}).json()
        assert document["code"] == "request.invalid" and "validation" not in document["detail"]
        return [found["message"] for found in document["errors"]]

    assert messages(secret="short") == [snapshot("too_short")]
    assert messages(serial="ABCDE") == [snapshot("too_long")]
    assert messages(serial="ab") == [snapshot("pattern")]
    assert messages(title="<b>") == ["a title has no marks"]
