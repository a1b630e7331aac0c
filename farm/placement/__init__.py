"""Who runs where and when: cards, leases, the waiting line, and why something waits. Pure logic, called by
the Nomad adapter.
"""

from farm.placement.blocklist import Avoided, BlockList
from farm.placement.book import Book, Reconciled
from farm.placement.cards import SHARE_MIB, Card, CardKind, CardUse, Constraint, Node, Request
from farm.placement.leases import Lease, Spot
from farm.placement.line import LineRules, WaitingLine
from farm.placement.peaks import Peaks
from farm.placement.retry import Retries

__all__ = [
    "SHARE_MIB",
    "Avoided",
    "BlockList",
    "Book",
    "Card",
    "CardKind",
    "CardUse",
    "Constraint",
    "Lease",
    "LineRules",
    "Node",
    "Peaks",
    "Reconciled",
    "Request",
    "Retries",
    "Spot",
    "WaitingLine",
]
