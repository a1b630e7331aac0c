"""The config block: read as the agent packs it, and never a reason to fail."""

from pathlib import Path
from typing import Any

import msgpack
import pytest
from gpu_device_plugin.config import PluginConfig, read_config, schema


def test_every_setting_has_a_default_in_the_schema_and_the_defaults_are_read_back() -> None:
    assert set(schema().object.attributes) == {
        "enabled",
        "source",
        "fake_cards",
        "share_mib",
        "reserve_mib",
        "fingerprint_period",
        "ignored_gpu_ids",
        "state_dir",
        "metrics_dir",
    }
    assert read_config(b"") == PluginConfig()


def test_the_guide_tells_every_setting_with_its_default() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "gpu-nodes.md").read_text()
    for name, setting in schema().object.attributes.items():
        assert f"| `{name}` | `{setting.default.default.literal.value}` |" in guide


def test_settings_are_read_as_the_agent_packs_them() -> None:
    packed = msgpack.packb(
        {
            "enabled": True,
            "source": "fake",
            "fake_cards": "/etc/cards.json",
            "share_mib": 1024.0,
            "reserve_mib": 512,
            "fingerprint_period": "250ms",
            "ignored_gpu_ids": ["GPU-a"],
            "state_dir": "/tmp/state",
        }
    )
    assert read_config(packed) == PluginConfig(
        source="fake",
        fake_cards=Path("/etc/cards.json"),
        share_mib=1024,
        reserve_mib=512,
        period_s=0.25,
        ignored_uuids=frozenset({"GPU-a"}),
        state_dir=Path("/tmp/state"),
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"share_mib": 512}, "share_mib must be 0"),
        ({"share_mib": -1}, "whole number"),
        ({"share_mib": 1024.5}, "whole number"),
        ({"share_mib": float("inf")}, "infinity"),
        ({"source": "amd"}, "source must be"),
        ({"source": "fake", "fake_cards": "cards.json"}, "absolute path"),
        ({"fingerprint_period": "soon"}, "fingerprint_period"),
        ({"fingerprint_period": "0s"}, "fingerprint_period"),
        ({"ignored_gpu_ids": 7}, "must be a list"),
        ([1, 2], "not a block"),
    ],
)
def test_a_bad_setting_becomes_a_sentence_and_a_node_without_cards(values: Any, sentence: str) -> None:
    config = read_config(msgpack.packb(values))
    assert sentence in config.problem
    assert not config.enabled


@pytest.mark.parametrize("packed", [b"\xc1", b"\x82\xa1", b"{}", b"\x00" * 10, b"\xff"])
def test_bytes_that_are_no_configuration_are_a_problem_not_a_failure(packed: bytes) -> None:
    assert read_config(packed).problem


def test_a_bad_configuration_still_knows_where_to_write_its_status() -> None:
    assert read_config(msgpack.packb({"state_dir": "/tmp/here", "share_mib": 3})).state_dir == Path(
        "/tmp/here"
    )
