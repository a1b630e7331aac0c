"""Fake cards: what the file may hold, and what is said about a file that is wrong."""

import json
from pathlib import Path

import pytest
from gpu_device_plugin.cards import Card, UnreadableCards
from gpu_device_plugin.fake import FakeCards

GOOD = {"uuid": "GPU-a", "model": "NVIDIA L4", "memory_mib": 23034}


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "cards.json"
    file.write_text(json.dumps([GOOD]))
    source = FakeCards(file)
    assert source.read() == [Card(uuid="GPU-a", model="NVIDIA L4", memory_mib=23034)]
    file.write_text(json.dumps([{**GOOD, "fault": "hot", "used_mib": 7}]))
    assert source.read() == [Card(uuid="GPU-a", model="NVIDIA L4", memory_mib=23034, fault="hot", used_mib=7)]
    file.write_text("[]")
    assert source.read() == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[{", "not JSON"),
        ("{}", "list of cards"),
        ("[1]", "card 1 in .* is not an object"),
        (json.dumps([GOOD, {**GOOD, "uuid": ""}]), "card 2 .* must not be empty"),
        (json.dumps([GOOD, GOOD]), "same uuid"),
        (json.dumps([{"uuid": "GPU-a", "model": "m"}]), "lacks memory_mib"),
        (json.dumps([{**GOOD, "memory_mib": "8 GiB"}]), "memory_mib must be a number"),
        (json.dumps([{**GOOD, "memory_mib": True}]), "memory_mib must be a number"),
        (json.dumps([{**GOOD, "memory_mib": -5}]), "above 0"),
        (json.dumps([{**GOOD, "healthy": False}]), "unknown fields: healthy"),
        ("\udcff", "not JSON"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "cards.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UnreadableCards, match=sentence):
        FakeCards(file).read()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCards, match="cannot be read: No such file"):
        FakeCards(tmp_path / "none.json").read()
