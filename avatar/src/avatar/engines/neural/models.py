"""The networks of both engines as models that a holder lends; the first to touch torch and checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from avatar.engines.card_mode import Mode
from avatar.engines.latentsync.clip import Settings
from avatar.engines.latentsync.loading import Files, Networks, load_networks
from avatar.engines.latentsync.memory import Plan, in_mode, plan
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.engine import open_animator
from avatar.engines.precision import Precision
from avatar.engines.weights.store import ModelStore

PUBLISHED_SEED = 1247
"""Of the original's command line; our seed 1 means it."""
_MOST_THREADS = 8
CPU = torch.device("cpu")


class PortraitModel:
    """LivePortrait's networks; see `holder.Model`."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator

    def weigh(self) -> int:
        return _bytes_of([self.animator.networks])

    def come(self) -> None:
        self.animator.networks.to(self.animator.device)

    def leave(self) -> None:
        self.animator.networks.to(CPU)


class MouthModel:
    """LatentSync's networks and how they share the card; see `holder.Model`."""

    def __init__(self, networks: Networks, ways: Plan) -> None:
        self.networks, self.ways = networks, ways

    def ways_in(self, mode: Mode) -> Plan:
        """For a scene that is drawn in another mode than the one they came for; parked ones stay parked."""
        on_card = self.ways.device != CPU
        return in_mode(mode, self.ways) if on_card else self.ways

    def weigh(self) -> int:
        large = [_bytes_of([network]) for network in (self.networks.unet, self.networks.vae)]
        # Parked networks are on the card one at a time.
        return _bytes_of([self.networks.whisper]) + (max(large) if self.ways.park else sum(large))

    def come(self) -> None:
        self.networks.whisper.to(self.ways.device)
        if not self.ways.park:
            self.networks.unet.to(self.ways.device)
            self.networks.vae.to(self.ways.device)

    def leave(self) -> None:
        for network in (self.networks.whisper, self.networks.unet, self.networks.vae):
            network.to(CPU)


def load_portrait(models: Path, precision: Precision = "auto") -> PortraitModel:
    """Raises Unavailable `weights.missing`, InvalidInput `weights.mismatch` and its like."""
    return PortraitModel(open_animator(models, precision, stitching=True, strength=1.0))


def load_mouth(models: Path, mode: Mode, precision: Precision = "auto") -> MouthModel:
    """Raises as `load_portrait`."""
    ways = plan(mode, precision)
    if ways.device == CPU:
        torch.set_num_threads(min(_MOST_THREADS, os.cpu_count() or 1))
    store = ModelStore(models)
    files = Files(
        unet=store.require("latentsync.unet"),
        whisper=store.require("latentsync.whisper"),
        vae=store.require("latentsync.vae"),
    )
    return MouthModel(load_networks(files, ways), ways)


def mouth_settings(seed: int) -> Settings:
    """As published for 1.6, the start of the noise by the spec's seed."""
    return Settings(seed=PUBLISHED_SEED - 1 + seed)


def _bytes_of(networks: Iterable[Any]) -> int:
    tensors = (one for network in networks for one in (*network.parameters(), *network.buffers()))
    return sum(one.numel() * one.element_size() for one in tensors)
