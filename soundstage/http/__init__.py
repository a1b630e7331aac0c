"""Outgoing HTTP: `outgoing_client` calls URLs that people name, `open_client` our own and the operator's."""

from soundstage.http.destinations import (
    NO_LISTENERS,
    Destinations,
    OwnListeners,
    Target,
    own_listeners,
    resolve,
)
from soundstage.http.internal import (
    http_errors,
    open_blocking_client,
    open_client,
    web_socket_url,
)
from soundstage.http.outgoing import Bounds, check_declared_length, outgoing_client, retry_after_of
from soundstage.http.tls_files import TlsFiles, tls_context

__all__ = [
    "NO_LISTENERS",
    "Bounds",
    "Destinations",
    "OwnListeners",
    "Target",
    "TlsFiles",
    "check_declared_length",
    "http_errors",
    "open_blocking_client",
    "open_client",
    "outgoing_client",
    "own_listeners",
    "resolve",
    "retry_after_of",
    "tls_context",
    "web_socket_url",
]
