"""Imports every table of this room, so that its metadata knows them; for migrations and tests."""

from provisioning_api.announcements.models import Announcement
from provisioning_api.audit.models import AuditRecord
from provisioning_api.enrolment.models import Credential, Enrolment, MachineToken, UsedChallenge
from provisioning_api.healing.models import HealingAction, HealingCase
from provisioning_api.machines.models import HardwareReport, Machine, MachineKey, MachineMac
from provisioning_api.rules.models import RuleRow
from provisioning_api.runs.models import Failure, Run, RunMachine
from provisioning_api.timeline.models import SpanRow

__all__ = [
    "Announcement",
    "AuditRecord",
    "Credential",
    "Enrolment",
    "Failure",
    "HardwareReport",
    "HealingAction",
    "HealingCase",
    "Machine",
    "MachineKey",
    "MachineMac",
    "MachineToken",
    "RuleRow",
    "Run",
    "RunMachine",
    "SpanRow",
    "UsedChallenge",
]
