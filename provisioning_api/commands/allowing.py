"""Checks commands against patterns of argument lists in `allowed.toml`; called by the service."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from soundstage.errors import Forbidden

_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class AllowedCommand:
    """`argv` with places in braces; `words` say what may stand in them."""

    sentence: str
    argv: tuple[str, ...]
    words: Mapping[str, re.Pattern[str]]

    def fits(self, argv: Sequence[str]) -> bool:
        """Returns whether it is this command, word for word."""
        if len(argv) != len(self.argv):
            return False
        return all(self._word_fits(ours, theirs) for ours, theirs in zip(self.argv, argv, strict=True))

    def _word_fits(self, ours: str, theirs: str) -> bool:
        place = _PLACE.fullmatch(ours)
        return ours == theirs if place is None else bool(self.words[place[1]].fullmatch(theirs))


class AllowList:
    def __init__(self, commands: Sequence[AllowedCommand]) -> None:
        self.commands = tuple(commands)

    @classmethod
    def default(cls) -> AllowList:
        return cls.parse(
            files("provisioning_api.commands").joinpath("allowed.toml").read_text(encoding="utf-8")
        )

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """KeyError and TOMLDecodeError for a file that cannot be used: it is ours."""
        table = tomllib.loads(text)
        words = {name: re.compile(pattern) for name, pattern in table["words"].items()}
        found = [AllowedCommand(one["sentence"], tuple(one["argv"]), words) for one in table["command"]]
        for command in found:
            for word in command.argv:
                if (place := _PLACE.fullmatch(word)) is not None and place[1] not in words:
                    raise KeyError(f"{command.argv}: nothing says what {word} may be")
        return cls(found)

    def check(self, argv: Sequence[str]) -> AllowedCommand:
        """The entry that allows it; `command.not_allowed` when none does."""
        for command in self.commands:
            if command.fits(argv):
                return command
        raise Forbidden(
            "command.not_allowed",
            f"The command {' '.join(argv)[:100]!r} is not on the list of allowed commands.",
            "List them: `soundstage machines commands`. What changes a machine is a run of Ansible.",
        )
