"""The scheduler for more than one machine, on HashiCorp Nomad."""

from farm.nomad.address import NomadAddress
from farm.nomad.client import NomadClient
from farm.nomad.registration import NomadOptions
from farm.nomad.request import JobOptions
from farm.nomad.scheduler import NomadScheduler

__all__ = ["JobOptions", "NomadAddress", "NomadClient", "NomadOptions", "NomadScheduler"]
