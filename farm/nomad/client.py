"""The small part of Nomad's HTTP API that the farm uses, asynchronously; used by farm.nomad only.

python-nomad is synchronous, and can neither stream logs nor resume an event stream, so all calls on the way
of a segment are here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from farm.nomad.address import NomadAddress, token_of
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, SoundstageError, Unavailable, Upstream
from soundstage.http import TlsFiles, http_errors, open_client

TIMEOUT_S = 15.0
STREAM_SILENCE_S = 35.0
"""Nomad sends a heartbeat every 10 s; a stream that is silent for longer is dead."""

Json = dict[str, Any]
STRANGE = "nomad.strange_answer"


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """Events of one index of the server's log."""

    index: int
    events: tuple[Json, ...] = field(default=())


class NomadClient:
    """`async with NomadClient(address) as nomad`. Raises SoundstageError only: `nomad.unreachable` when no
    server answers or none leads, `nomad.strange_answer` where another program does, `nomad.forbidden`,
    `nomad.not_found`, `nomad.refused` for what it does not accept.
    """

    def __init__(self, address: NomadAddress) -> None:
        self._address = address
        self._http = open_client(f"{address.url.rstrip('/')}/v1/", timeout=TIMEOUT_S, tls=_tls(address))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def parse_job(self, hcl: str, variables: Mapping[str, Any]) -> Json:
        """The job that an HCL file means with these variables. The server parses: there is one HCL2 only."""
        body = {"JobHCL": hcl, "Canonicalize": True, "Variables": _assignments(variables)}
        return await self._json("POST", "jobs/parse", body)

    async def register(self, job: Json) -> bool:
        """Registers; False is returned when a job of that name is there already (it stays as it is). Any
        number of callers may race: one gets True.
        """
        try:
            await self._json("POST", "jobs", {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0})
        except Conflict:
            return False
        return True

    async def stop(self, job_id: str, *, purge: bool = False) -> None:
        """Ends what runs of a job; `purge` also forgets it. A job that is not there is no error."""
        try:
            await self._json("DELETE", f"job/{path_part(job_id)}", None, {"purge": "true"} if purge else {})
        except NotFound:
            return

    async def stop_allocation(self, allocation_id: str) -> None:
        """Ends it; Nomad places the work anew where it can run."""
        await self._json("PUT", f"allocation/{path_part(allocation_id)}/stop")

    async def job(self, job_id: str) -> Json | None:
        try:
            return await self._json("GET", f"job/{path_part(job_id)}")
        except NotFound:
            return None

    async def jobs(self, prefix: str) -> tuple[list[Json], int]:
        """Short forms (with meta) of the jobs whose id begins so, and the index at which that held."""
        return await self._list("jobs", {"prefix": prefix, "meta": "true"})

    async def allocations(self, job_id: str) -> list[Json]:
        """Short forms of a job's allocations, the oldest first."""
        found, _ = await self._list(f"job/{path_part(job_id)}/allocations")
        return sorted(found, key=lambda allocation: int(allocation["CreateIndex"]))

    async def all_allocations(self) -> tuple[list[Json], int]:
        """Short forms of all allocations, with what they hold of their nodes, and the index of that."""
        return await self._list("allocations", {"resources": "true"})

    async def nodes(self) -> tuple[list[Json], int]:
        """Short forms of all nodes, with their resources and devices, and the index of that."""
        return await self._list("nodes", {"resources": "true"})

    async def put_variable(self, path: str, items: Mapping[str, str]) -> None:
        """Writes a Nomad Variable; of 64 KiB at most."""
        await self._json("PUT", f"var/{quote(path)}", {"Path": path, "Items": dict(items)})

    async def delete_variable(self, path: str) -> None:
        try:
            await self._send("DELETE", f"var/{quote(path)}")
        except NotFound:
            return

    async def events(self, topics: tuple[str, ...], after: int) -> AsyncIterator[StreamBatch]:
        """Events with a greater index than `after`, until the connection ends or falls silent.

        The server keeps only the last ones (`event_buffer_size`): after a break list first, then stream
        from the index of the list. An empty batch is a heartbeat.
        """
        parameters = [("index", str(after + 1)), *(("topic", topic) for topic in topics)]
        request = self._request("GET", "event/stream", None, parameters)
        request.extensions["timeout"]["read"] = STREAM_SILENCE_S
        answer = await self._answer(request, stream=True)
        try:
            with http_errors(unreachable):
                async for line in answer.aiter_lines():
                    found = _object(line)
                    if "Error" in found:
                        raise Upstream(
                            "nomad.stream_failed",
                            f"Nomad ended the event stream: {found['Error']}.",
                            "It is opened again; if it stays, see the log of the Nomad server.",
                        )
                    if int(found.get("Index", after + 1)) > after:
                        yield StreamBatch(int(found.get("Index", 0)), tuple(found.get("Events") or ()))
        finally:
            await answer.aclose()

    async def logs(
        self, allocation_id: str, task: str, kind: str = "stderr", *, follow: bool = False, tail: int = 65_536
    ) -> AsyncGenerator[bytes, None]:
        """The last `tail` bytes of what a task wrote; with `follow` also what it still writes, until it has
        ended and all is read.
        """
        parameters = [("task", task), ("type", kind), ("origin", "end"), ("offset", str(tail))]
        parameters += [("plain", "true"), ("follow", "true" if follow else "false")]
        request = self._request("GET", f"client/fs/logs/{path_part(allocation_id)}", None, parameters)
        # A task may be silent for as long as it likes; Nomad ends the stream when the task has ended.
        request.extensions["timeout"]["read"] = None if follow else TIMEOUT_S
        answer = await self._answer(request, stream=True)
        try:
            with http_errors(unreachable):
                async for chunk in answer.aiter_bytes():
                    yield chunk
        finally:
            await answer.aclose()

    async def _list(self, path: str, parameters: Mapping[str, str] | None = None) -> tuple[list[Json], int]:
        answer = await self._send("GET", path, None, parameters)
        found, index = _content(answer) or [], answer.headers.get("X-Nomad-Index", "0")
        known = isinstance(found, list) and all(isinstance(one, dict) and "ID" in one for one in found)
        if not known or not answer.content:
            raise strange_answer(answer.status_code)
        return found, int(index) if index.isdecimal() else 0

    async def _json(
        self, method: str, path: str, body: Json | None = None, parameters: Mapping[str, str] | None = None
    ) -> Json:
        answer = await self._send(method, path, body, parameters)
        found = _content(answer) or {}
        if not isinstance(found, dict):
            raise strange_answer(answer.status_code)
        return found

    async def _send(
        self, method: str, path: str, body: Json | None = None, parameters: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self._answer(self._request(method, path, body, list((parameters or {}).items())))

    def _request(
        self, method: str, path: str, body: Json | None, parameters: Sequence[tuple[str, str]]
    ) -> httpx.Request:
        ours = [("namespace", self._address.namespace), ("region", self._address.region)]
        query = httpx.QueryParams([(name, value) for name, value in (*ours, *parameters) if value])
        return self._http.build_request(method, path, json=body, params=query, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        token = token_of(self._address)
        return {"X-Nomad-Token": token} if token else {}

    async def _answer(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        with http_errors(unreachable):
            answer = await self._http.send(request, stream=stream)
            if answer.is_error:
                await answer.aread()
                await answer.aclose()
        if answer.is_error:
            raise refusal(answer.status_code, answer.text)
        if answer.is_redirect:
            await answer.aclose()
            raise strange_answer(answer.status_code)
        return answer


def _tls(address: NomadAddress) -> TlsFiles | bool:
    if not address.url.startswith("https:"):
        return True
    return TlsFiles(address.ca_file, address.client_cert_file, address.client_key_file)


def path_part(name: str) -> str:
    """One part of a path: names may hold slashes."""
    return quote(name, safe="")


def _assignments(variables: Mapping[str, Any]) -> str:
    """HCL assignments, one per line. Every JSON value is an HCL expression but for `${` and `%{` in strings,
    which would begin a template.
    """
    lines = []
    for name, value in variables.items():
        text = json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
        lines.append(f"{name} = {text}")
    return "\n".join(lines)


def _object(line: str) -> Json:
    try:
        found = json.loads(line or "{}")
    except ValueError:
        found = {"Error": line[:200]}
    return found if isinstance(found, dict) else {}


def _content(answer: httpx.Response) -> Any:
    try:
        return answer.json() if answer.content else None
    except (ValueError, RecursionError) as error:
        raise strange_answer(answer.status_code) from error


def strange_answer(answered: object) -> Unavailable:
    """For a status, or anything else, that Nomad does not answer."""
    return Unavailable(
        "nomad.strange_answer",
        f"What answers in Nomad's place answered {answered} and is not Nomad.",
        "Check `farm.nomad.address`, and any proxy on the way; work waits until Nomad answers.",
    )


def unreachable(error: object) -> Unavailable:
    """For what went wrong before there was an answer."""
    return Unavailable(
        "nomad.unreachable",
        f"Nomad does not answer: {type(error).__name__}.",
        "Check `farm.nomad.address` and that the servers run; work waits until they do.",
    )


NOT_NOW = (
    "rpc error",
    # A server that has just started, or a cluster whose first leader is still making its keys.
    "no cluster leader",
    "keyring has not been initialized",
    # A leader that another one follows (https://pkg.go.dev/github.com/hashicorp/raft#pkg-variables). Whether
    # it has written what it took is open: a second try of the same finds what is there.
    "leadership lost",
    "node is not the leader",
    "leadership transfer in progress",
    "raft is already shutdown",
    "timed out enqueuing operation",
)
"""Words of servers that cannot serve now, and can later."""


def refusal(status: int, words: str) -> SoundstageError:
    """Nomad says with 500 what others say with 4xx, so its words count too."""
    text = words.strip()[:400]
    lowered = text.lower()
    if "enforcing job modify index" in lowered:
        return Conflict("nomad.job_exists", "A job of this name is there already.", "It is used as it is.")
    if status == 403:
        return Forbidden(
            "nomad.forbidden",
            f"Nomad does not allow this: {text}.",
            "Check the token in `farm.nomad.token_file` and its policy (docs/guide/nomad.md).",
        )
    if status == 404 or "not found" in lowered:
        return NotFound("nomad.not_found", f"Nomad does not know it: {text}.", "It may be purged.")
    if status >= 500 and (not lowered or any(words in lowered for words in NOT_NOW)):
        return Unavailable(
            "nomad.unreachable",
            f"Nomad cannot serve now: {text or status}.",
            "Check that the servers have a leader; work waits until they do.",
        )
    if status >= 500 and status != 500:
        return Unavailable("nomad.unreachable", f"Nomad cannot serve now: {text}.", "It is tried again.")
    return Invalid("nomad.refused", f"Nomad refuses this: {text}.", "See docs/guide/nomad.md.")
