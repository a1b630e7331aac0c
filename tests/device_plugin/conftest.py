"""Fixtures of the device plugin: the Nomad of tests/nomad_fixture."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))

from nomad_cluster import nomad_clusters

__all__ = ["nomad_clusters"]
