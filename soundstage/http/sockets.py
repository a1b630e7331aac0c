"""Opens WebSockets to our own servers; imported where one is opened, because the library takes a moment."""

from __future__ import annotations

from collections.abc import Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from soundstage.http.internal import common_tls_context

__all__ = ["ClientConnection", "ConnectionClosed", "InvalidStatus", "WebSocketException", "open_web_socket"]


def open_web_socket(url: str, headers: Mapping[str, str]) -> connect:
    """Returns a connection to await or to enter, without a proxy. `wss` trusts the authorities of the system,
    and those of SSL_CERT_FILE.

    Entering raises OSError and WebSocketException.
    """
    tls = common_tls_context(trust_env=True) if url.startswith("wss:") else None
    return connect(url, additional_headers=headers, ssl=tls, proxy=None)
