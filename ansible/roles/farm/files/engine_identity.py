"""Gives Consul's or Nomad's agent what the enrolment of this machine brought for it, before the agent starts.

Called by consul.service and nomad.service of machines that the provisioning API has enrolled. What is missing
is asked of the API again, with the token of the enrolment: once the machine is retired, it gets nothing more.
Only the standard library: it runs with the machine's own Python.
"""

from __future__ import annotations

import argparse
import base64
import grp
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# An introduction that ends sooner is asked for again: the agent needs a moment to get to a server.
MARGIN_S = 60
TIMEOUT_S = 10


class NoIdentity(Exception):
    """The agent's token is missing and cannot be requested; the text says why."""


class Enrolment:
    """Files that the deploy agent wrote into `folder`: ca.pem, engines.json, call-home.json."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: dict[str, Any] = self._read("engines.json")

    def token(self, engine: str, name: str) -> str | None:
        """A token of the enrolment's; None where it brought none."""
        found = (self._engines.get(engine) or {}).get(name)
        return found if isinstance(found, str) and found else None

    def request_tokens(self, engine: str) -> dict[str, Any]:
        """New tokens for one engine: a token of Consul's before ends with that. Raises NoIdentity."""
        home = self._read("call-home.json")
        request = urllib.request.Request(  # noqa: S310 -- the address is of our own enrolment
            f"{home['api']}/api/agent/join-tokens?engine={engine}",
            method="POST",
            headers={"Authorization": f"Bearer {home['token']}"},
        )
        try:
            trust = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trust) as answer:  # noqa: S310
                tokens: dict[str, Any] = json.loads(answer.read())[engine]
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace").strip()[:500]
            raise NoIdentity(f"{home['api']} refuses: {error.code} {detail}") from None
        except (OSError, ValueError, KeyError) as error:
            raise NoIdentity(f"{home['api']} does not answer: {error}") from None
        return tokens

    def store(self, engine: str, tokens: dict[str, Any]) -> None:
        """From now on it is what the enrolment brought."""
        self._engines[engine] = tokens
        place(self._folder / "engines.json", json.dumps(self._engines, indent=1) + "\n", "root", 0o600)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NoIdentity(f"{self._folder / name} cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise NoIdentity(f"{self._folder / name} does not hold what an enrolment writes.")
        return found


def consul_token(enrolment: Enrolment) -> str:
    """Returns the token with which this machine is its own node in Consul, and no other."""
    if enrolment.token("consul", "agent_token") is None:
        enrolment.store("consul", enrolment.request_tokens("consul"))
    token = enrolment.token("consul", "agent_token")
    if token is None:
        raise NoIdentity("Consul gave no token: look at the event machine.not_introduced of this machine.")
    return token


def introduction(enrolment: Enrolment, now: float) -> str:
    """Returns the introduction token that Nomad's servers require of an unknown client."""
    token = enrolment.token("nomad", "introduction_token")
    if token is None or _ends(token) < now + MARGIN_S:
        token = enrolment.request_tokens("nomad").get("introduction_token")
    if not isinstance(token, str) or not token:
        raise NoIdentity("Nomad gave none: look at the event machine.not_introduced of this machine.")
    return token


def place(path: Path, content: str, group: str, mode: int) -> None:
    """Whole or not at all, and nothing when it is there already."""
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return
    half = path.with_name(f".{path.name}.new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fchown(file.fileno(), 0, grp.getgrnam(group).gr_gid)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    half.replace(path)


def _ends(token: str) -> float:
    """The time in a JWT (RFC 7519, `exp`), in seconds since 1970; 0 for what is none."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return 0.0


def for_consul(options: argparse.Namespace) -> None:
    token = consul_token(Enrolment(options.enrolment))
    config = {"acl": {"tokens": {"agent": token, "dns": token}}}
    place(options.config, json.dumps(config, indent=1) + "\n", options.group, 0o640)


def for_nomad(options: argparse.Namespace) -> None:
    """An introduction for a client that has never run, and for one that was introduced before: whether the
    servers took it in time is not to be seen here. One that they know has an identity of Nomad's own.
    """
    enrolment = Enrolment(options.enrolment)
    if options.config is not None:
        config = {"consul": {"token": consul_token(enrolment)}}
        place(options.config, json.dumps(config, indent=1) + "\n", "root", 0o640)
    place_of_token = options.client_dir / "intro_token.jwt"
    if (options.client_dir / "state.db").exists() and not (place_of_token.exists() or options.introduce):
        return
    try:
        token = introduction(enrolment, time.time())
    except NoIdentity as error:
        # Servers that do not insist on one let the client in all the same.
        print(f"nomad.no_introduction: {error}", file=sys.stderr)
        return
    options.client_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    place(place_of_token, token, "root", 0o600)


def main() -> int:
    parser = argparse.ArgumentParser(description="Give an agent what the enrolment of this machine brought.")
    parser.add_argument("--enrolment", type=Path, default=Path("/etc/soundstage"))
    engines = parser.add_subparsers(dest="engine", required=True)
    consul = engines.add_parser("consul")
    consul.add_argument("--config", type=Path, required=True, help="is written, with the token")
    consul.add_argument("--group", required=True, help="may read it")
    nomad = engines.add_parser("nomad")
    nomad.add_argument("--config", type=Path, help="is written, with the token for Consul; without: none is")
    nomad.add_argument("--client-dir", type=Path, required=True, help="<data_dir>/client of Nomad")
    nomad.add_argument("--introduce", action="store_true", help="also a client that was never introduced")
    options = parser.parse_args()
    try:
        for_consul(options) if options.engine == "consul" else for_nomad(options)
    except NoIdentity as error:
        print(f"{options.engine}.no_identity: {error} Enrol this machine anew.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
