"""Clients of Consul and Nomad by py-consul and python-nomad, which call synchronously: use them in a thread.

TLS, times and sizes of both are set here, in one place.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import consul
import nomad
import requests
import urllib3

from soundstage.http.outgoing import LOOP_HEADER

ANSWER_BYTES = 64 << 20
"""The list of all allocations of a large farm is some tens of megabytes."""
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Address and credentials of an engine, as the operator wrote them. A missing file raises OSError when
    it is used; `ca_file` None means the authorities of this machine.
    """

    url: str
    token: str | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    region: str = ""
    namespace: str = ""

    @property
    def verify(self) -> str | bool:
        """The `verify` of requests; its own list of authorities would leave out those of the operator."""
        known = ssl.get_default_verify_paths()
        return str(self.ca_file or "") or known.cafile or known.capath or True

    @property
    def certificate(self) -> str | tuple[str, str] | None:
        """Our own; one file may hold its key too."""
        if self.client_cert_file is None:
            return None
        certificate = str(self.client_cert_file)
        return certificate if self.client_key_file is None else (certificate, str(self.client_key_file))


class BoundedSession(requests.Session):
    """No proxies, no redirects, nothing packed; each answer whole within `total_s` and `answer_bytes`.

    Raises requests.RequestException for what does not keep to it.
    """

    def __init__(self, total_s: float, answer_bytes: int = ANSWER_BYTES) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.update({"Accept-Encoding": "identity", LOOP_HEADER: "1"})
        self._total_s = total_s
        self._answer_bytes = answer_bytes

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        deadline = time.monotonic() + self._total_s
        answer = super().send(request, **{**options, "stream": True, "allow_redirects": False})
        try:
            # requests has no other way to hand on a body that was read in bounds.
            answer._content = self._body(answer, deadline)
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            answer.close()
        return answer

    def _body(self, answer: requests.Response, deadline: float) -> bytes:
        packed = answer.headers.get("content-encoding", "identity")
        if packed.strip().lower() != "identity":
            raise requests.exceptions.ContentDecodingError(f"the answer is packed with {packed}")
        body = bytearray()
        while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=False):
            body += chunk
            if len(body) > self._answer_bytes:
                raise requests.exceptions.ContentDecodingError(f"over {self._answer_bytes} bytes")
            if time.monotonic() > deadline:
                raise requests.Timeout(f"no whole answer within {self._total_s:g} s")
        return bytes(body)


@contextmanager
def consul_client(address: EngineAddress, timeout_s: float) -> Iterator[consul.Consul]:
    """A client for a few calls, each within `timeout_s`. Raises consul.ConsulException, and
    requests.RequestException and OSError where no server answers.
    """
    parts = urlsplit(address.url)
    with BoundedSession(timeout_s) as session:
        client = consul.Consul(
            parts.hostname,
            parts.port or 8500,
            scheme=parts.scheme,
            verify=address.verify,
            cert=address.certificate,
            connections_timeout=timeout_s,
        )
        # The library would prefer the environment's token, and knows no path before /v1.
        client.token = address.token
        client.http.base_uri = address.url.rstrip("/")
        client.http.session = session
        yield client


@contextmanager
def nomad_client(address: EngineAddress, timeout_s: float) -> Iterator[nomad.Nomad]:
    """The same for Nomad; raises BaseNomadException in the place of consul.ConsulException."""
    with BoundedSession(timeout_s) as session:
        yield nomad.Nomad(
            address=address.url.rstrip("/"),
            namespace=address.namespace or None,
            region=address.region or None,
            token=address.token,
            timeout=timeout_s,
            verify=address.verify,
            cert=address.certificate,
            session=session,
        )
