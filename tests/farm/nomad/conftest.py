"""Tests of the Nomad scheduler alone; its parts are in tests/farm/farm_on_nomad.py."""

from __future__ import annotations

import pytest

from farm.nomad import NomadScheduler


@pytest.fixture
def scheduler(nomad_scheduler: NomadScheduler) -> NomadScheduler:
    return nomad_scheduler
