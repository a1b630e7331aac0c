"""Stands for a mail server that Alertmanager sends to: `mail_receiver.py ADDRESS PORT FILE CERTIFICATE`.

It takes mail after STARTTLS and a login alone, as such servers do. Each mail becomes a line of FILE (JSON:
login, sender, recipients, text). CERTIFICATE is a PEM file with its key.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from pathlib import Path

ADDRESS, PORT, FILE, CERTIFICATE = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]


class Session:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext):
        self._reader, self._writer, self._tls = reader, writer, tls
        self._is_closed_to_others = False
        self._login = ""
        self._sender = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 mail of the tests")
        while line := (await self._reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    offered = "AUTH PLAIN" if self._is_closed_to_others else "STARTTLS"
                    await self._say("250-mail of the tests", f"250 {offered}")
                case "STARTTLS":
                    await self._say("220 go on")
                    await self._writer.start_tls(self._tls)
                    self._is_closed_to_others = True
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    self._login = f"{user} {password}"
                    await self._say("235 welcome")
                case "MAIL" | "RCPT" if not self._login:
                    await self._say("530 log in first")
                case "MAIL":
                    self._sender = rest
                    await self._say("250 well")
                case "RCPT":
                    self._recipients.append(rest)
                    await self._say("250 well")
                case "DATA":
                    await self._say("354 to a line with a dot")
                    text = await self._reader.readuntil(b"\r\n.\r\n")
                    self._write_down(text.decode())
                    await self._say("250 taken")
                case "QUIT":
                    await self._say("221 bye")
                    break
                case _:
                    await self._say("502 unknown")
        self._writer.close()

    def _write_down(self, text: str) -> None:
        mail = {"login": self._login, "sender": self._sender, "recipients": self._recipients, "text": text}
        with FILE.open("a") as file:
            file.write(json.dumps(mail) + "\n")

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()


async def serve() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    server = await asyncio.start_server(lambda *streams: Session(*streams, tls).run(), ADDRESS, PORT)
    await server.serve_forever()


asyncio.run(serve())
