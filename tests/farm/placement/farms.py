"""Farms and requests made from a seed, and the accounts that every book must keep; used by all tests of
this folder.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from farm.needs import Needs
from farm.placement import Card, CardUse, Lease, LeaseTable, Node, Request

MODELS = (("RTX 2080", 8192), ("RTX A5000", 24576), ("L40S", 46068))


def dice(seed: int) -> random.Random:
    """The same numbers on every run, so that a failure can be looked at."""
    return random.Random(seed)  # noqa: S311 - no secret


def card(uuid: str, memory_mib: int = 8192, model: str = "RTX 2080", fault: str = "") -> Card:
    return Card(uuid, model, memory_mib, shares=(memory_mib - 1) // 1024, fault=fault)


def node(
    name: str, *cards: Card, shared: bool = False, cpu_mhz: int = 16000, memory_mib: int = 65536
) -> Node:
    return Node(name, name, cards, shared=shared, cpu_mhz=cpu_mhz, memory_mib=memory_mib)


def request(
    name: str,
    vram_gib: float = 2,
    gpus: int = 1,
    *,
    owner: str = "",
    use: CardUse = CardUse.EITHER,
    engine: str = "portrait",
    cpu_mhz: int = 1000,
    memory_mib: int = 1024,
    expected_s: float | None = None,
) -> Request:
    needs = Needs(engine, gpus, int(vram_gib * 1024) if gpus else 0, cpu_mhz, memory_mib)
    return Request(name, owner or name, needs, use, expected_s=expected_s)


def any_card(chance: random.Random, uuid: str) -> Card:
    model, memory_mib = chance.choice(MODELS)
    return card(uuid, memory_mib, model, fault="xid 79" if chance.random() < 0.1 else "")


def any_node(chance: random.Random, name: str) -> Node:
    cards = [any_card(chance, f"{name}-{number}") for number in range(chance.choice((0, 1, 1, 2, 4)))]
    created = node(
        name,
        *cards,
        shared=chance.random() < 0.5,
        cpu_mhz=chance.choice((2000, 8000, 32000)),
        memory_mib=chance.choice((2048, 16384, 65536)),
    )
    return replace(created, drained=chance.random() < 0.1)


def any_farm(chance: random.Random, nodes: int = 6) -> LeaseTable:
    return LeaseTable(any_node(chance, f"n{number}") for number in range(nodes))


def any_request(chance: random.Random, name: str, owners: int = 4) -> Request:
    gpus = chance.choice((0, 1, 1, 1, 1, 2))
    use = chance.choice((CardUse.WHOLE, CardUse.EITHER) if gpus > 1 else tuple(CardUse))
    return request(
        name,
        chance.choice((0.5, 1, 2, 5, 7, 12, 20, 40)),
        gpus,
        owner=f"render-{chance.randrange(owners)}",
        use=use,
        engine=chance.choice(("portrait", "lips")),
        cpu_mhz=chance.choice((500, 1000, 4000)),
        memory_mib=chance.choice((512, 2048, 8192)),
        expected_s=chance.choice((None, 30.0, 300.0)),
    )


def audit(table: LeaseTable) -> None:
    """Adds up what is taken from the leases alone and compares it with what there is and with what the
    book says.
    """
    taken: Counter[tuple[str, str]] = Counter()
    cpu_mhz: Counter[str] = Counter()
    memory_mib: Counter[str] = Counter()
    for lease in table.leases:
        cpu_mhz[lease.assignment.node_id] += lease.cpu_mhz
        memory_mib[lease.assignment.node_id] += lease.memory_mib
        for uuid in lease.assignment.cards:
            taken[lease.assignment.node_id, uuid] += lease.assignment.shares or 1
    for usage in table.usages():
        node_id = usage.node.id
        assert usage.cpu_mhz == cpu_mhz[node_id] <= usage.node.cpu_mhz
        assert usage.memory_mib == memory_mib[node_id] <= usage.node.memory_mib
        for one in usage.node.cards:
            room = one.shares if usage.node.shared else 1
            assert usage.taken.get(one.uuid, 0) == taken[node_id, one.uuid] <= room


def rights(table: LeaseTable, lease: Lease, request: Request) -> None:
    """The lease is what the request asked for."""
    usage = table.usage(lease.assignment.node_id)
    assert usage is not None
    assert not usage.node.drained
    cards = [usage.cards[uuid] for uuid in lease.assignment.cards]
    assert len(set(lease.assignment.cards)) == len(cards) == request.needs.gpus
    assert all(not one.fault and one.memory_mib >= request.needs.vram_mib for one in cards)
    assert len({one.kind for one in cards}) <= 1
    if cards:
        assert usage.node.shared == bool(lease.assignment.shares)
        assert request.may_share if usage.node.shared else request.may_take_whole
        assert not usage.node.shared or lease.assignment.shares * 1024 >= request.needs.vram_mib


def accounts(table: LeaseTable) -> dict[str, object]:
    """All that a book knows but for the order in which it came to know it."""
    return {
        "leases": {lease.id: lease for lease in table.leases},
        "desks": {usage.node.id: usage for usage in table.usages()},
        "shared": {kind: dict(buckets._level_of) for kind, buckets in table._capacity.shared.items()},
        "whole": {kind: dict(buckets._level_of) for kind, buckets in table._capacity.whole.items()},
        "plain machines": dict(table._capacity.plain_machines._level_of),
        "machines with cards": dict(table._capacity.card_machines._level_of),
    }
