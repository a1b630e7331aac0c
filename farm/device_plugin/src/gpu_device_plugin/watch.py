"""Reads the cards again and again in a thread of its own, so that a slow driver holds up no call of the
agent.

`services` asks `cards()` for what is to be announced now. Cards that cannot be read for `grace_s` stay in the
list with a fault: an empty list would look as if the cards had been taken out, and an old one as if all were
well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gpu_device_plugin.cards import Card, CardSource, UnreadableCards
from gpu_device_plugin.config import PluginConfig
from gpu_device_plugin.fake import FakeCards
from gpu_device_plugin.files import load_cards, save_cards
from gpu_device_plugin.log import log
from gpu_device_plugin.nvml import NvmlCards

_GRACE_S = 10.0


class CardWatch:
    """The last good list of cards and how old it is. Thread-safe; `configure` may be called many times."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._config = PluginConfig(enabled=False)
        self._source: CardSource | None = None
        self._cards: list[Card] = []
        self._read_at: float | None = None  # monotonic; None: not read since the last configuration
        self._since = ""
        self._problem = ""
        self._thread: threading.Thread | None = None

    @property
    def config(self) -> PluginConfig:
        return self._config

    @property
    def problem(self) -> str:
        """Returns why the cards cannot be read, or the configuration is refused; empty when all is well."""
        return self._config.problem or self._problem

    def configure(self, config: PluginConfig) -> None:
        """Start over with these settings. Never raises."""
        with self._changed:
            if config == self._config:
                return  # the agent sends it twice
            self._config = config
            self._source = _open(config) if config.enabled else None
            self._cards, self._read_at, self._problem = load_cards(config.state_dir, config.source), None, ""
            self._since = datetime.now(UTC).strftime("%H:%M:%S UTC")
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._read_for_ever, name="cards", daemon=True)
                self._thread.start()

    def cards(self) -> list[Card]:
        """The cards as they are to be announced now."""
        with self._changed:
            if not self._config.enabled:
                return []
            grace_s = max(_GRACE_S, 3 * self._config.period_s)
            if self._read_at is not None and time.monotonic() - self._read_at <= grace_s:
                return list(self._cards)
            # No running clock in the text: a text that changes would be announced anew each time.
            reason = self._problem or "the driver does not answer"
            fault = f"not readable since {self._since}: {reason}"
            return [replace(card, fault=card.fault or fault) for card in self._cards]

    def wait(self, timeout_s: float) -> None:
        """Until something may have changed, or `timeout_s` have passed."""
        with self._changed:
            self._changed.wait(timeout_s)

    def wait_for_first_reading(self, timeout_s: float) -> None:
        """Until the cards were read once or could not be, so that the first announcement is not a guess."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._config.enabled or self._read_at is not None or self._problem != "",
                timeout_s,
            )

    def _read_for_ever(self) -> None:
        while True:
            with self._changed:
                source, config = self._source, self._config
            problem = ""
            cards: list[Card] = []
            if source is not None:
                try:
                    cards = source.read()
                except UnreadableCards as e:
                    problem = str(e)
                # The end of this thread would freeze the picture that Nomad has: any other fault of a driver
                # or its binding is a problem to show, too.
                except Exception as e:
                    problem = f"{type(e).__name__}: {e}"
            with self._changed:
                if source is self._source:  # else a new configuration came while the driver thought
                    if source is not None:
                        self._take(cards, problem, config)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._source is not source, config.period_s)  # noqa: B023

    def _take(self, cards: Sequence[Card], problem: str, config: PluginConfig) -> None:
        if problem:
            if problem != self._problem:  # once, not at each reading
                log("warn", "the cards cannot be read", problem=problem)
            self._problem = problem
            return
        if self._problem:
            log("info", "the cards can be read again", cards=len(cards))
        seen = [card for card in cards if card.uuid not in config.ignored_uuids]
        first = self._read_at is None
        lasting = [_lasting(card) for card in seen]
        if first or lasting != [_lasting(card) for card in self._cards]:
            log("info", "cards", healthy=sum(not card.fault for card in seen), of=len(seen))
            try:
                save_cards(config.state_dir, config.source, lasting)
            except OSError as e:
                log("warn", "the list of cards cannot be kept", folder=str(config.state_dir), problem=str(e))
        self._cards, self._problem = seen, ""
        self._read_at = time.monotonic()
        self._since = datetime.now(UTC).strftime("%H:%M:%S UTC")


def _open(config: PluginConfig) -> CardSource:
    return NvmlCards() if config.fake_cards is None else FakeCards(config.fake_cards)


def _lasting(card: Card) -> Card:
    """The card without the readings that move all the time."""
    return replace(
        card,
        used_mib=None,
        power_w=None,
        gpu_load_pct=None,
        memory_load_pct=None,
        temperature_c=None,
        ecc_corrected=None,
        ecc_uncorrected=None,
    )
