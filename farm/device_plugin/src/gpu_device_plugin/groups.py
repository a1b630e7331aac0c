"""Cards as Nomad sees them: device groups, statistics and the environment of a task. Pure functions, called
by `services`.

Whole cards (`share_mib` 0): one group per model, one instance per card, like the usual NVIDIA plugin. Shares:
one group per *card*, since Nomad never splits a request over groups, and so all shares of a task lie on one
card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gpu_device_plugin.cards import Card
from gpu_device_plugin.config import PluginConfig
from gpu_device_plugin.wire.device_pb2 import (
    Attribute,
    ContainerReservation,
    DeviceGroup,
    DeviceGroupStats,
    DeviceLocality,
    DeviceStats,
    StatObject,
    StatValue,
)

_VENDOR, _TYPE = "nvidia", "gpu"


class ReservationRefused(Exception):
    """A task cannot have these instances; the text ends up in the task's events."""


def device_groups(cards: Sequence[Card], config: PluginConfig) -> list[DeviceGroup]:
    """The groups to announce. Equal cards give equal bytes, so that a caller can see whether anything
    changed."""
    groups: list[DeviceGroup] = []
    for name, members in _grouped(cards, config):
        group = DeviceGroup(vendor=_VENDOR, device_type=_TYPE, device_name=name)
        for card in members:
            for instance in _instances(card, config):
                device = group.devices.add(id=instance, healthy=not card.fault, health_description=card.fault)
                if card.pci_bus_id:
                    device.hw_locality.CopyFrom(DeviceLocality(pci_bus_id=card.pci_bus_id))
        for attribute, value in _attributes(members, config).items():
            group.attributes[attribute].CopyFrom(value)
        if group.devices:
            groups.append(group)
    return groups


def group_stats(cards: Sequence[Card], config: PluginConfig, now_s: float) -> list[DeviceGroupStats]:
    """Returns the figures of `nomad node status -stats`: memory in use of the whole card, and details once
    per card.
    """
    groups: list[DeviceGroupStats] = []
    for name, members in _grouped(cards, config):
        group = DeviceGroupStats(vendor=_VENDOR, type=_TYPE, name=name)
        for card in members:
            for number, instance in enumerate(_instances(card, config)):
                # A card has up to 140 shares: the details are repeated for none of them.
                group.instance_stats[instance].CopyFrom(_stats(card, now_s, details=number == 0))
        groups.append(group)
    return groups


def reservation(
    instances: Sequence[str], cards: Sequence[Card], config: PluginConfig
) -> ContainerReservation:
    """The environment that shows a task its cards and no others. Raises ReservationRefused with a
    sentence."""
    by_instance = {instance: card for card in cards for instance in _instances(card, config)}
    requested: Counter[str] = Counter()
    for instance in instances:
        card = by_instance.get(instance)
        if card is None:
            raise ReservationRefused(f"card {instance} is gone from this node")
        if card.fault:
            raise ReservationRefused(f"card {card.uuid} is faulty: {card.fault}")
        requested[card.uuid] += 1
    uuids = ",".join(requested)
    # Container runtimes read the first name; CUDA in a bare process reads the second, and takes uuids too.
    environment = {"NVIDIA_VISIBLE_DEVICES": uuids, "CUDA_VISIBLE_DEVICES": uuids}
    if config.share_mib:
        if len(requested) != 1:
            raise ReservationRefused("shares of one task must lie on one card")
        granted_mib = requested.total() * config.share_mib
        environment["SOUNDSTAGE_VRAM_MIB"] = str(granted_mib)
        # Only an MPS daemon enforces this one; without it the task caps itself by the line above.
        environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = f"0={granted_mib}M"
    return ContainerReservation(envs=environment)


def _grouped(cards: Sequence[Card], config: PluginConfig) -> list[tuple[str, list[Card]]]:
    groups: dict[str, list[Card]] = {}
    for card in cards:
        # The whole uuid keeps two cards apart whatever their numbers look like.
        name = f"{card.model.replace(' ', '-')}.{card.uuid}" if config.share_mib else card.model
        groups.setdefault(name, []).append(card)
    return list(groups.items())


def _instances(card: Card, config: PluginConfig) -> list[str]:
    if not config.share_mib:
        return [card.uuid]
    shares = max(0, card.memory_mib - config.reserve_mib) // config.share_mib
    return [f"{card.uuid}#{number:03d}" for number in range(shares)]


def _attributes(members: Sequence[Card], config: PluginConfig) -> dict[str, Attribute]:
    # Nomad keeps one set of attributes per group, and takes any instance for a job that the set satisfies.
    # Where cards of one name differ, the smallest usable one is promised: never more than a job then gets.
    usable = [card for card in members if not card.fault] or list(members)
    card = min(usable, key=lambda one: one.memory_mib)
    attributes = {
        "model": Attribute(string_val=card.model),
        "memory": Attribute(int_val=card.memory_mib, unit="MiB"),
    }
    for name, number, unit in (
        ("power", card.power_limit_w, "W"),
        ("bar1", card.bar1_mib, "MiB"),
        ("cores_clock", card.cores_clock_mhz, "MHz"),
        ("memory_clock", card.memory_clock_mhz, "MHz"),
        ("pci_bandwidth", card.pci_bandwidth_mb_s, "MB/s"),
    ):
        if number is not None:
            attributes[name] = Attribute(int_val=number, unit=unit)
    if card.compute_capability is not None:
        minimum = min(one.compute_capability or 0 for one in usable)
        attributes["compute_capability"] = Attribute(int_val=minimum)
    if card.driver_version:
        attributes["driver_version"] = Attribute(string_val=card.driver_version)
    for name, flag in (("display_state", card.display), ("persistence_mode", card.persistence)):
        if flag is not None:
            attributes[name] = Attribute(string_val="Enabled" if flag else "Disabled")
    if config.share_mib:
        attributes["uuid"] = Attribute(string_val=card.uuid)
        attributes["shares"] = Attribute(int_val=len(_instances(card, config)))
        attributes["share_size"] = Attribute(int_val=config.share_mib, unit="MiB")
    return attributes


def _stats(card: Card, now_s: float, *, details: bool) -> DeviceStats:
    memory = StatValue(unit="MiB", desc="Memory in use on the whole card")
    if card.used_mib is not None:
        memory.int_numerator_val.value = card.used_mib
        memory.int_denominator_val.value = card.memory_mib
    else:
        memory.string_val.value = "unknown"
    # Never without the object, even an empty one: `nomad node status -stats` ends in a panic without it.
    stats = DeviceStats(summary=memory, stats=StatObject())
    stats.timestamp.FromNanoseconds(int(now_s * 1e9))
    if details:
        stats.stats.attributes["Memory state"].CopyFrom(memory)
        for name, number, unit, description in (
            ("GPU utilization", card.gpu_load_pct, "%", "Share of the last period in which a kernel ran"),
            ("Memory utilization", card.memory_load_pct, "%", "Share of the last period with memory traffic"),
            ("Temperature", card.temperature_c, "C", "Temperature of the chip"),
            ("Power usage", card.power_w, "W", "Power drawn by the card"),
        ):
            if number is not None:
                value = StatValue(unit=unit, desc=description)
                value.int_numerator_val.value = number
                stats.stats.attributes[name].CopyFrom(value)
    return stats
