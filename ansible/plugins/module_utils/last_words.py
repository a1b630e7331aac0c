# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the last output of a task of Nomad, without secrets; called by `deploying` for unhealthy jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import EngineApi

MASK = "[masked]"
_READ_BYTES, _LINES, _CHARS = 8192, 12, 2000
_SHORTEST_SECRET = 8
# Keys of the API are 64 hex digits, tokens of both engines are UUIDs.
_LOOKS = (
    re.compile(r"(?<!sha256:)\b()[0-9a-fA-F]{64}\b"),
    re.compile(r"\b()[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    re.compile(r"(://)[^\s/@]+(?=@)"),
    re.compile(r"(?i)(\bbearer )\S{8,}"),
    re.compile(r"""(?i)((?:token|secret|password|key)["']?\s*[=:]\s*["']?)[^\s"',}]{8,}"""),
)


def last_words(nomad: EngineApi, allocation: str, task: str, secrets: Iterable[str]) -> str:
    """The last lines of its standard error, or of its output when it has none, without secrets."""
    for stream in ("stderr", "stdout"):
        query = {"task": task, "type": stream, "origin": "end", "offset": _READ_BYTES, "plain": "true"}
        lines = nomad.plain(f"/v1/client/fs/logs/{allocation}?{urlencode(query)}").strip().splitlines()
        if lines:
            return mask_secrets("\n".join(lines[-_LINES:]), secrets)[-_CHARS:]
    return ""


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Without these secrets, each a line or several, and without what looks like one."""
    for secret in sorted(_lines(secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for look in _LOOKS:
        text = look.sub(rf"\1{MASK}", text)
    return text


def _lines(secrets: Iterable[str]) -> Iterator[str]:
    for secret in secrets:
        for line in secret.splitlines():
            if len(line.strip()) >= _SHORTEST_SECRET and not line.startswith("-----"):
                yield line.strip()
