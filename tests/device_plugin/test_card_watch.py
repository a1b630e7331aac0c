"""Announcements while cards cannot be read: a broken file, a restart, a driver that hangs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpu_device_plugin import watch
from gpu_device_plugin.cards import Card
from gpu_device_plugin.config import PluginConfig
from gpu_device_plugin.watch import CardWatch
from waiting import eventually

CARD = {"uuid": "GPU-a", "model": "NVIDIA L4", "memory_mib": 23034}


@pytest.fixture
def config(tmp_path: Path) -> PluginConfig:
    (tmp_path / "cards.json").write_text(json.dumps([CARD]))
    return PluginConfig(
        source="fake", fake_cards=tmp_path / "cards.json", period_s=0.1, state_dir=tmp_path / "state"
    )


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "_GRACE_S", 0.5)
    yield


def start_watch(config: PluginConfig) -> CardWatch:
    cards = CardWatch()
    cards.configure(config)
    cards.wait_for_first_reading(60)
    return cards


def test_a_file_broken_for_a_moment_changes_nothing(config: PluginConfig, tmp_path: Path) -> None:
    cards = start_watch(config)
    (tmp_path / "cards.json").write_text("[{")
    eventually(lambda: "not JSON" in cards.problem)
    assert [card.fault for card in cards.cards()] == [""]


def test_cards_that_stay_unreadable_are_announced_as_faulty_and_come_back(
    config: PluginConfig, tmp_path: Path, short_grace: None
) -> None:
    cards = start_watch(config)
    (tmp_path / "cards.json").write_text("[{")
    eventually(lambda: cards.cards()[0].fault != "")
    assert "not readable since" in cards.cards()[0].fault
    (tmp_path / "cards.json").write_text(json.dumps([CARD]))
    eventually(lambda: cards.cards()[0].fault == "")
    assert cards.problem == ""


def test_a_start_with_unreadable_cards_announces_the_last_good_list_as_faulty(
    config: PluginConfig, tmp_path: Path
) -> None:
    start_watch(config)
    (tmp_path / "cards.json").write_text("oops")
    (card,) = start_watch(config).cards()
    assert (card.uuid, card.memory_mib) == ("GPU-a", 23034)
    assert "not JSON" in card.fault


def test_a_first_start_with_unreadable_cards_announces_none(config: PluginConfig, tmp_path: Path) -> None:
    (tmp_path / "cards.json").unlink()
    assert start_watch(config).cards() == []


def test_remembered_cards_of_another_source_are_not_announced(config: PluginConfig, tmp_path: Path) -> None:
    start_watch(config)
    real = PluginConfig(state_dir=config.state_dir)
    cards = CardWatch()
    cards.configure(real)
    assert cards.cards() == []


def test_a_driver_that_hangs_makes_its_cards_faulty_and_holds_up_nobody(
    config: PluginConfig, monkeypatch: pytest.MonkeyPatch, short_grace: None
) -> None:
    class Hanging:
        def __init__(self, path: Path) -> None:
            self.readings = 0

        def read(self) -> list[Card]:
            self.readings += 1
            if self.readings > 1:
                time.sleep(60)
            return [Card(uuid="GPU-a", model="m", memory_mib=8192)]

    monkeypatch.setattr(watch, "FakeCards", Hanging)
    cards = start_watch(config)
    assert cards.cards()[0].fault == ""
    eventually(lambda: "the driver does not answer" in cards.cards()[0].fault)
    before = cards.cards()
    time.sleep(1.2)
    assert cards.cards() == before, "a fault text that moves would be announced again and again"


def test_a_surprise_in_a_driver_is_a_problem_and_reading_goes_on(
    config: PluginConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exploding:
        readings = 0

        def __init__(self, path: Path) -> None: ...

        def read(self) -> list[Card]:
            Exploding.readings += 1
            if Exploding.readings < 3:
                raise ZeroDivisionError("in the binding")
            return [Card(uuid="GPU-a", model="m", memory_mib=8192)]

    monkeypatch.setattr(watch, "FakeCards", Exploding)
    cards = start_watch(config)
    assert "ZeroDivisionError" in cards.problem
    eventually(lambda: len(cards.cards()) == 1)


def test_ignored_cards_are_left_out(config: PluginConfig) -> None:
    ignoring = PluginConfig(
        source="fake",
        fake_cards=config.fake_cards,
        state_dir=config.state_dir,
        ignored_uuids=frozenset({"GPU-a"}),
    )
    assert start_watch(ignoring).cards() == []


def test_a_state_folder_that_cannot_be_written_costs_only_the_memory_of_it(
    config: PluginConfig, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    assert [card.uuid for card in start_watch(config).cards()] == ["GPU-a"]


def test_a_disabled_plugin_announces_nothing(config: PluginConfig) -> None:
    assert start_watch(PluginConfig(enabled=False)).cards() == []
