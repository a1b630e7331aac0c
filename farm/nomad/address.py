"""The address of Nomad's servers and our credentials there; read by both clients of Nomad."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soundstage.errors import Unavailable
from soundstage.http.engines import EngineAddress


@dataclass(frozen=True, slots=True)
class NomadAddress:
    """`token_file` is read at each call, so that a rotated token counts at once."""

    url: str = "http://127.0.0.1:4646"
    region: str = ""
    namespace: str = "default"
    token_file: Path | None = None
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None


def engine_address(address: NomadAddress) -> EngineAddress:
    """Returns the address for python-nomad, with the token read now. Raises `nomad.token_unreadable`."""
    return EngineAddress(
        address.url,
        token_of(address) or None,
        address.ca_file,
        address.client_cert_file,
        address.client_key_file,
        address.region,
        address.namespace,
    )


def token_of(address: NomadAddress) -> str:
    """Empty when there is no token file. Raises `nomad.token_unreadable`."""
    path = address.token_file
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            "nomad.token_unreadable",
            f"The file {path} of the Nomad token cannot be read.",
            "Check `farm.nomad.token_file` and the rights of the file.",
        ) from error
    if not token:
        # Without a token Nomad answers as to a stranger, maybe with a list of nothing, which would read as if
        # all our jobs were gone. A file that is just being written is empty for a moment.
        raise Unavailable(
            "nomad.token_unreadable",
            f"The file {path} of the Nomad token is empty.",
            "Write a token into it; work waits until there is one.",
        )
    return token
