"""Reads the nodes and leases of the farm for `/metrics`, as the process knows them that dispatches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from farm.nomad.placer import Placer
from soundstage.telemetry import Metrics, metrics
from soundstage.telemetry.instruments import Sample


def read_farm_state(shown: Metrics, placer: Placer) -> None:
    """Adds the reader to `shown`."""

    async def read() -> Iterable[Sample]:
        return [*_nodes(placer), *_cards(placer)]

    shown.read_state(read)


def _nodes(placer: Placer) -> Iterator[Sample]:
    states = Counter("drained" if node.drained else "ready" for node in placer.table.nodes)
    return metrics.NODES.count(states.items())


def _cards(placer: Placer) -> Iterator[Sample]:
    for card in placer.table.card_usage():
        yield metrics.CARD_MEMORY_MIB.sample(card.memory_mib, card.node, card.uuid)
        yield metrics.LEASES_MIB.sample(card.held_mib, card.node, card.uuid, "held")
        yield metrics.LEASES_MIB.sample(card.memory_mib - card.held_mib, card.node, card.uuid, "free")
