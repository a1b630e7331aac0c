"""Cards as Nomad sees them in both modes, and the environment of a task."""

import time

import pytest
from gpu_device_plugin.cards import Card
from gpu_device_plugin.config import PluginConfig
from gpu_device_plugin.groups import ReservationRefused, device_groups, group_stats, reservation

L4 = Card(uuid="GPU-l4", model="NVIDIA L4", memory_mib=23034, used_mib=300)
SMALL = Card(uuid="GPU-small", model="NVIDIA RTX 2080", memory_mib=8192, used_mib=0)
WHOLE = PluginConfig()
SHARED = PluginConfig(share_mib=1024)


def test_whole_cards_stand_in_one_group_per_model_with_one_instance_each() -> None:
    second = Card(uuid="GPU-l4b", model="NVIDIA L4", memory_mib=23034)
    groups = device_groups([L4, second, SMALL], WHOLE)
    assert [(g.vendor, g.device_type, g.device_name) for g in groups] == [
        ("nvidia", "gpu", "NVIDIA L4"),
        ("nvidia", "gpu", "NVIDIA RTX 2080"),
    ]
    assert [device.id for device in groups[0].devices] == ["GPU-l4", "GPU-l4b"]
    assert (groups[0].attributes["memory"].int_val, groups[0].attributes["memory"].unit) == (23034, "MiB")


def test_a_shared_card_is_a_group_of_its_own_with_whole_gibibytes_as_instances() -> None:
    twin = Card(uuid="GPU-small-twin", model="NVIDIA RTX 2080", memory_mib=8192)
    groups = device_groups([L4, SMALL, twin], SHARED)
    assert len({group.device_name for group in groups}) == 3
    assert [len(group.devices) for group in groups] == [22, 8, 8]
    assert groups[1].devices[7].id == "GPU-small#007"
    attributes = groups[1].attributes
    assert (attributes["shares"].int_val, attributes["share_size"].int_val) == (8, 1024)
    assert (attributes["uuid"].string_val, attributes["memory"].int_val) == ("GPU-small", 8192)


def test_what_is_kept_back_for_the_driver_makes_fewer_shares() -> None:
    (group,) = device_groups([SMALL], PluginConfig(share_mib=1024, reserve_mib=512))
    assert len(group.devices) == 7


def test_a_card_too_small_for_one_share_is_not_announced() -> None:
    assert device_groups([Card(uuid="GPU-x", model="old", memory_mib=1000)], SHARED) == []


def test_all_shares_of_a_faulty_card_are_unhealthy_and_say_why() -> None:
    (group,) = device_groups(
        [Card(uuid="GPU-x", model="m", memory_mib=2048, fault="fell off the bus")], SHARED
    )
    assert [(d.healthy, d.health_description) for d in group.devices] == [(False, "fell off the bus")] * 2


def test_cards_of_one_name_promise_the_memory_of_the_smallest_usable_one() -> None:
    small = Card(uuid="GPU-a", model="RTX 3080", memory_mib=10240)
    large = Card(uuid="GPU-b", model="RTX 3080", memory_mib=12288)
    (group,) = device_groups([large, small], WHOLE)
    assert group.attributes["memory"].int_val == 10240
    broken = Card(uuid="GPU-a", model="RTX 3080", memory_mib=10240, fault="hot")
    (group,) = device_groups([large, broken], WHOLE)
    assert group.attributes["memory"].int_val == 12288


def test_a_task_with_two_whole_cards_sees_both_and_no_share_limit() -> None:
    environment = dict(reservation(["GPU-small", "GPU-l4"], [L4, SMALL], WHOLE).envs)
    assert environment == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-small,GPU-l4",
        "CUDA_VISIBLE_DEVICES": "GPU-small,GPU-l4",
    }


def test_a_task_with_five_shares_sees_one_card_and_its_grant() -> None:
    environment = dict(reservation([f"GPU-small#00{n}" for n in range(5)], [L4, SMALL], SHARED).envs)
    assert environment == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-small",
        "CUDA_VISIBLE_DEVICES": "GPU-small",
        "SOUNDSTAGE_VRAM_MIB": "5120",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=5120M",
    }


@pytest.mark.parametrize(
    ("instances", "config", "sentence"),
    [
        (["GPU-gone"], WHOLE, "GPU-gone is gone"),
        (["GPU-hot"], WHOLE, "GPU-hot is faulty: hot"),
        (["GPU-l4#000", "GPU-small#000"], SHARED, "one card"),
        (["GPU-small#008"], SHARED, "is gone"),
    ],
)
def test_a_reservation_that_cannot_hold_is_refused_with_a_sentence(
    instances: list[str], config: PluginConfig, sentence: str
) -> None:
    hot = Card(uuid="GPU-hot", model="m", memory_mib=8192, fault="hot")
    with pytest.raises(ReservationRefused, match=sentence):
        reservation(instances, [L4, SMALL, hot], config)


def test_statistics_show_memory_of_the_card_at_each_share_and_details_once() -> None:
    card = Card(uuid="GPU-x", model="m", memory_mib=2048, used_mib=300, temperature_c=61)
    (group,) = group_stats([card], SHARED, time.time())
    first, second = group.instance_stats["GPU-x#000"], group.instance_stats["GPU-x#001"]
    assert (first.summary.int_numerator_val.value, first.summary.int_denominator_val.value) == (300, 2048)
    assert first.stats.attributes["Temperature"].int_numerator_val.value == 61
    assert second.summary == first.summary and not second.stats.attributes
    assert second.HasField("stats"), "the nomad program does not survive its absence"
