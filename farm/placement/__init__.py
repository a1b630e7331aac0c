"""Placement of tasks on nodes and cards: leases, the queue, wait reasons, forecasts. Pure logic, called by
the Nomad adapter.
"""

from farm.placement.blocklist import BlockList
from farm.placement.cards import Card, CardUse, Constraint, Node, Request
from farm.placement.lease_table import LeaseTable
from farm.placement.leases import Assignment, Lease
from farm.placement.peaks import Peaks
from farm.placement.queue import FairQueue, QueueRules
from farm.placement.retry import Retries

__all__ = [
    "Assignment",
    "BlockList",
    "Card",
    "CardUse",
    "Constraint",
    "FairQueue",
    "Lease",
    "LeaseTable",
    "Node",
    "Peaks",
    "QueueRules",
    "Request",
    "Retries",
]
