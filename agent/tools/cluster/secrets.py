"""Keeps the secrets of a job out of its plan, which many may read; used by the tool that deploys jobs.

Nomad's HCL has no mark for a secret variable, so names tell, as everywhere (soundstage/telemetry/masking.py).
What a name calls secret is hidden in every other place too: as an argument of a command, in a template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from soundstage.telemetry.masking import MASK, is_secret_name, mask_text

_SHORTEST = 6
"""A shorter text stands in many places by chance; it is hidden by its name alone."""
_NO_SECRET = re.compile(r"|-?[0-9]+(?:\.[0-9]+)?|true|false|null")
_REFERENCE = ("${", "{{")
"""What Nomad fills in when the task starts: the name of a secret and not the secret."""
_ASSIGNED = re.compile(r"""([A-Za-z_-][\w-]*)["']?(?:\s*=|:)\s*["']?([^\s"',;]+)""")


class Hidden:
    """The secret values of what is deployed and of what is there, and how a plan shows them."""

    def __init__(self, *contents: object) -> None:
        found = {value for content in contents for value in _secrets("", content) if len(value) >= _SHORTEST}
        self._values = sorted(found, key=len, reverse=True)

    def named(self, name: str, value: str) -> str:
        """The value of a field or variable."""
        return MASK if is_secret_name(name) and _holds(value) else self.text(value)

    def text(self, text: str) -> str:
        """A text in which the values may stand."""
        for value in self._values:
            text = text.replace(value, MASK)
        return mask_text(text)


def _secrets(name: str, content: object) -> Iterator[str]:
    if isinstance(content, Mapping):
        for inner, value in content.items():
            yield from _secrets(str(inner), value)
    elif isinstance(content, list | tuple):
        # A command's arguments: `--api-key`, and then the key.
        for flag, value in pairwise(["", *content]):
            yield from _secrets(flag if isinstance(flag, str) and flag.startswith("-") else "", value)
    elif isinstance(content, str):
        if is_secret_name(name) and _holds(content):
            yield content
        for assigned in _ASSIGNED.finditer(content):
            if is_secret_name(assigned[1]) and _holds(assigned[2]):
                yield assigned[2]


def _holds(value: str) -> bool:
    return not value.startswith(_REFERENCE) and _NO_SECRET.fullmatch(value) is None
