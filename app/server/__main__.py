"""The server process: `python -m app.server`, started and watched by `soundstage up`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import sys
from pathlib import Path

from soundstage.errors import SoundstageError
from soundstage.settings import load_settings

OBJECTS_BETWEEN_LOOKS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-server")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of a listening socket")
    parser.add_argument("--tls-socket", type=int, help="the same, for https")
    parser.add_argument("--keys-to", type=int, help="descriptor of a pipe for the keys of a first start")
    options = parser.parse_args()
    # Imports make a million objects that stay, an answer thousands that end by themselves: looking for cycles
    # took a fifth of the start and a tenth of an answer.
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, 10, 10)
    from app.server.first_start import send_keys
    from app.server.studio_server import serve

    try:
        settings = load_settings(options.config_file)
        if options.keys_to is not None:
            send_keys(settings, options.keys_to)
        tls = None if options.tls_socket is None else socket.socket(fileno=options.tls_socket)
        asyncio.run(serve(settings, socket.socket(fileno=options.socket), tls))
    except SoundstageError as error:
        print(f"error {error.message}  ({error.code})\nhint  {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
