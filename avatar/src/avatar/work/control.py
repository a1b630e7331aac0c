"""The worker's side of the transfer routes: calls the control plane, again and again while it is away.

Files go straight to the bucket of the studio where the control plane gives a signed address. A bucket that
this node cannot use is left alone: its files then pass through the control plane.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx

from avatar.errors import AvatarError, Cancelled, Unavailable
from avatar.spec.work import SIGNED_HEADER, UploadAddress, UploadRequest, WorkOrder, WorkReply, WorkReport
from avatar.work.bucket import Bucket

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0
CHUNK_BYTES = 1 << 20
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may well succeed."""

Answer = TypeVar("Answer")


class Refused(AvatarError):
    """The control plane knows the request and says no; asking again will not help."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(code, message, hint)
        self.status = status

    @property
    def ended(self) -> bool:
        """The token is void: the task was cancelled, has ended, or is no longer known."""
        return self.status in (401, 403, 404, 410)


class Control:
    """The requests of one task. Thread-safe; `stop` ends every waiting for a control plane that is away.

    `urls`: its servers; the next one is called when one does not answer. `ca_file`: authorities of the bucket
    beside those of the system.
    """

    def __init__(
        self,
        urls: Sequence[str],
        task_id: str,
        token: str,
        *,
        run: str,
        stop: threading.Event,
        ca_file: Path | None = None,
    ) -> None:
        self._stop = stop
        self._urls = [f"{url.rstrip('/')}/api/farm/tasks/{quote(task_id, safe='')}/" for url in urls]
        self._current = 0
        self._http = httpx.Client(
            base_url=self._urls[self._current],
            headers={"Authorization": f"Bearer {token}", "Soundstage-Run": run},
            timeout=TIMEOUT,
            trust_env=False,
        )
        self._bucket = Bucket(TIMEOUT, ca_file)

    def close(self) -> None:
        self._http.close()
        self._bucket.close()

    def order(self, timeout_s: float) -> WorkOrder:
        def ask() -> WorkOrder:
            return WorkOrder.model_validate_json(self._checked(self._http.get("order")).content)

        return self.retry(ask, timeout_s)

    def fetch(self, sha256: str, write: Callable[[bytes], None]) -> None:
        """Streams a blob. Not repeated here: what `write` took must be thrown away first."""
        bucket = self._bucket.client()
        headers = {SIGNED_HEADER: "1"} if bucket else {}
        try:
            with self._http.stream("GET", f"blobs/{sha256}", headers=headers) as answer:
                if answer.is_error:
                    answer.read()
                if bucket is None or answer.status_code != httpx.codes.TEMPORARY_REDIRECT:
                    self._write(self._checked(answer), write)
                    return
                address = answer.headers.get("Location", "")
        except httpx.HTTPError as error:
            raise self._away(error) from error
        self._fetch_from(bucket, address, write)

    def _write(self, answer: httpx.Response, write: Callable[[bytes], None]) -> None:
        for chunk in answer.iter_bytes(CHUNK_BYTES):
            self._end_if_stopped()
            write(chunk)

    def _fetch_from(self, bucket: httpx.Client, address: str, write: Callable[[bytes], None]) -> None:
        try:
            with bucket.stream("GET", address) as answer:
                self._write(answer.raise_for_status(), write)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._bucket.leave_alone(bucket)
            raise Unavailable(
                "work.bucket_away",
                f"The bucket does not hand the file out: {type(error).__name__}.",
                "It is fetched through the control plane now.",
            ) from error

    def put(self, sha256: str, path: Path, media_type: str, timeout_s: float) -> None:
        """Uploads an output, to the bucket where the control plane has one that this node can use."""

        def send() -> None:
            bucket = self._bucket.client()
            if bucket is not None and self._put_into(bucket, sha256, path):
                return
            headers = {"Content-Type": media_type, "Content-Length": str(path.stat().st_size)}
            self._checked(self._http.put(f"outputs/{sha256}", content=_chunks(path), headers=headers))

        self.retry(send, timeout_s)

    def _put_into(self, bucket: httpx.Client, sha256: str, path: Path) -> bool:
        """Returns whether the file is in the bucket now."""
        upload = UploadRequest(bytes=path.stat().st_size)
        answer = self._http.post(f"outputs/{sha256}", json=upload.model_dump())
        address = UploadAddress.model_validate_json(self._checked(answer).content)
        if address.url is None:
            return False
        try:
            stored = bucket.put(address.url, content=_chunks(path), headers=address.headers).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            stored = False
        if not stored:
            self._bucket.leave_alone(bucket)
        return stored

    def report(self, report: WorkReport, timeout_s: float, *, even_if_stopped: bool = False) -> WorkReply:
        def send() -> WorkReply:
            body = report.model_dump_json()
            headers = {"Content-Type": "application/json"}
            answer = self._checked(self._http.post("reports", content=body, headers=headers))
            return WorkReply.model_validate_json(answer.content)

        return self.retry(send, timeout_s, even_if_stopped=even_if_stopped)

    def retry(self, ask: Callable[[], Answer], timeout_s: float, *, even_if_stopped: bool = False) -> Answer:
        """Repeats `ask` with growing pauses while the control plane is away; `Unavailable` after that time,
        `Cancelled` when the worker is told to stop.
        """
        deadline = time.monotonic() + timeout_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return ask()
            except httpx.HTTPError as error:
                away = self._away(error)
            except Unavailable as error:
                away = error
            if time.monotonic() + pause > deadline:
                raise away
            # Jitter, or a thousand workers would all come back in the same moment.
            wait_s = pause * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            if even_if_stopped:
                time.sleep(wait_s)
            elif self._stop.wait(wait_s):
                self._end_if_stopped()
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _away(self, error: httpx.HTTPError) -> Unavailable:
        """Turns to the next server, unless another thread has done so since this request began."""
        # Some errors come without their request.
        with suppress(RuntimeError):
            if error.request.url.netloc == self._http.base_url.netloc:
                self._current = (self._current + 1) % len(self._urls)
                self._http.base_url = self._urls[self._current]
        return Unavailable(
            "work.control_away",
            f"The control plane does not answer: {type(error).__name__}.",
            "Check farm.control_url and that the server runs.",
        )

    def _end_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Cancelled("render.cancelled", "The work was stopped on request.")

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_error:
            return answer
        if answer.status_code in AGAIN:
            raise Unavailable(
                "work.control_away",
                f"The control plane answers with status {answer.status_code}.",
                "See the log of the control plane.",
            )
        raise _refused(answer)


def _refused(answer: httpx.Response) -> Refused:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    detail = body.get("detail") or f"The control plane refuses with status {answer.status_code}."
    return Refused(
        answer.status_code,
        str(body.get("code") or "work.refused"),
        str(detail),
        str(body.get("hint") or "See the log of the control plane."),
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
