"""The control plane's end of a worker on another machine: its order, its inputs and outputs by hash, its
reports.
"""

from farm.transfer.routes import TRANSFER_PREFIX, TransferAdmission, transfer_router
from farm.transfer.service import TransferService

__all__ = ["TRANSFER_PREFIX", "TransferAdmission", "TransferService", "transfer_router"]
