"""One clip from filmed frames to frames with the new mouth, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avatar.engines.kept import NOTHING, Kept, digest, fingerprint
from avatar.engines.latentsync.chunks import LENGTH, OVERLAP, incoming_weight, plan_chunks
from avatar.engines.latentsync.compiled import CompiledUNet
from avatar.engines.latentsync.faces import as_faces, keep_latent, with_surroundings, without_mouth
from avatar.engines.latentsync.following import Seen
from avatar.engines.latentsync.info import INFO
from avatar.engines.latentsync.loading import Networks
from avatar.engines.latentsync.mask import keep_mask
from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.sampler import Conditions, Sampler
from avatar.engines.latentsync.shapes import LATENT_CHANNELS, VAE_SCALE
from avatar.engines.latentsync.vae import FaceCoder
from avatar.engines.latentsync.warp import laid_onto, lay_back
from avatar.engines.precision import require_finite

Pixels = npt.NDArray[np.uint8]
VERSION = "latentsync 3"
"""Of what is kept of a stopped run; a change of the arithmetic behind it needs another."""


@dataclass(frozen=True, slots=True)
class Settings:
    """steps, guidance: of the sampler. side_px: of the square face the networks work at (512 for 1.6, 256 for
    1.5). overlap: frames that neighbouring chunks of `length` share. reuse: see `Sampler`.
    """

    steps: int = 20
    guidance: float = 1.5
    side_px: int = 512
    length: int = LENGTH
    overlap: int = OVERLAP
    reuse: int = 1
    seed: int = 1247


@dataclass(frozen=True, slots=True)
class Shot:
    """One filmed frame: BGR picture, where its face is, the aligned face in RGB, and what is heard then."""

    picture: Pixels
    seen: Seen
    crop: Pixels
    tokens: Tensor


@dataclass(slots=True)
class _Held:
    shot: Shot
    masked: Tensor
    reference: Tensor
    latent: Tensor | None = None


class Clip:
    """Draws the mouths of one clip; its networks are lent."""

    def __init__(
        self,
        networks: Networks,
        plan: Plan,
        settings: Settings,
        check: Callable[[], None] = lambda: None,
        kept: Kept = NOTHING,
    ) -> None:
        self._networks, self._plan, self._settings, self._check = networks, plan, settings, check
        self._kept, self._made_by = kept, ""
        self._coder = FaceCoder(networks.vae, at_once=plan.faces, bands=plan.bands)
        networks.unet.slice_feed_forward(plan.slices)
        unet = CompiledUNet(networks.unet, plan) if plan.compile else networks.unet
        self._sampler = Sampler(
            unet, settings.steps, settings.guidance, split=plan.split, reuse=settings.reuse
        )
        side = settings.side_px // VAE_SCALE
        # Drawn on the processor: the same seed gives the same start on every card.
        drawn = torch.randn(
            (1, LATENT_CHANNELS, side, side), generator=torch.Generator().manual_seed(settings.seed)
        )
        self._noise = drawn.to(plan.device, plan.dtype)
        self._keep = torch.from_numpy(keep_mask(settings.side_px)).to(plan.device)
        self._keep_latent = keep_latent(self._keep).to(plan.dtype)

    def drawn(self, shots: Iterator[Shot], frames: int) -> Iterator[Pixels]:
        """`frames` BGR pictures, one for each shot. At most two chunks of shots are held, or two for each
        that runs at once.
        """
        chunks = plan_chunks(frames, self._settings.length, self._settings.overlap)
        # Compiled code is of one shape: a group that is smaller than the others would be compiled anew.
        at_once = min(self._plan.chunks, len(chunks)) if self._plan.compile else 1
        held: deque[_Held] = deque()
        first = 0
        before = range(0)
        for index in range(0, len(chunks), self._plan.chunks):
            group = chunks[index : index + self._plan.chunks]
            self._take(shots, held, group[-1].stop - first - len(held))
            latents = self._denoised([[held[frame - first] for frame in chunk] for chunk in group], at_once)
            for chunk, made in zip(group, latents, strict=True):
                for frame, latent in zip(chunk, made, strict=True):
                    _blend(held[frame - first], latent, incoming_weight(frame, before, chunk))
                before = chunk
            following = chunks[index + len(group)].start if index + len(group) < len(chunks) else frames
            done = [held.popleft() for _ in range(following - first)]
            first = following
            yield from self._finished(done)

    def _take(self, shots: Iterator[Shot], held: deque[_Held], count: int) -> None:
        """Encodes the next `count` shots, a few at a time."""
        coming = islice(shots, count)
        with self._at_work(self._networks.vae):
            while batch := list(islice(coming, self._plan.faces)):
                self._check()
                faces = as_faces([shot.crop for shot in batch], self._plan.device, self._plan.dtype)
                masked = self._coder.encode(without_mouth(faces, self._keep))
                reference = self._coder.encode(faces)
                held.extend(
                    _Held(*parts) for parts in zip(batch, masked.unbind(), reference.unbind(), strict=True)
                )

    def _denoised(self, groups: list[list[_Held]], at_once: int) -> Tensor:
        """(chunks, frames, 4, h, w). A chunk in which no face shows, or that an earlier run has made, is not
        computed. Where fewer than `at_once` are left the last is computed so many times.
        """
        shape = (len(groups), len(groups[0]), *self._noise.shape[1:])
        latents = torch.zeros(shape, device=self._plan.device, dtype=self._plan.dtype)
        shown = [n for n, group in enumerate(groups) if any(one.shot.seen.strength > 0 for one in group)]
        names = {n: self._name(groups[n]) for n in shown}
        for n, name in names.items():
            if (found := self._kept.get(name)) is not None:
                shown.remove(n)
                latents[n] = torch.frombuffer(bytearray(found), dtype=latents.dtype).view(shape[1:])
        if not shown:
            return latents
        conditions = [
            Conditions(
                keep=self._keep_latent,
                masked=torch.stack([one.masked for one in groups[n]]),
                reference=torch.stack([one.reference for one in groups[n]]),
                audio=torch.stack([one.shot.tokens for one in groups[n]]).to(self._plan.device),
            )
            for n in shown
        ]
        conditions += conditions[-1:] * (at_once - len(conditions))
        with self._at_work(self._networks.unet):
            latents[shown] = self._sampler.denoise(self._noise, conditions, self._check)[: len(shown)]
        require_finite(latents, INFO.name)
        if self._kept.used:  # what comes from a card is waited for
            for n in shown:
                self._kept.put(names[n], latents[n].view(torch.uint8).cpu().numpy().tobytes())
        return latents

    def _name(self, group: list[_Held]) -> str:
        """What a chunk's latents follow from. How the card is shared changes no more than their last bits."""
        if not self._kept.used:
            return ""
        if not self._made_by:
            weights = (self._networks.unet.state_dict(), self._networks.vae.state_dict())
            prints = [fingerprint(state.items()) for state in weights]
            self._made_by = digest(VERSION, str(self._plan.dtype), repr(self._settings), *prints)
        return digest(
            self._made_by,
            *(one.shot.crop for one in group),
            *(one.shot.tokens.float().cpu().numpy() for one in group),
        )

    def _finished(self, done: list[_Held]) -> Iterator[Pixels]:
        faces = self._faces_of([one for one in done if one.shot.seen.strength > 0])
        if self._plan.park:  # it comes onto the card once for all of them
            with self._at_work(self._networks.vae):
                faces = iter(list(faces))
        for one in done:
            self._check()
            yield one.shot.picture if one.shot.seen.strength <= 0 else self._laid(one.shot, next(faces))

    def _faces_of(self, shown: list[_Held]) -> Iterator[Tensor]:
        """Decoded faces with their filmed surroundings, decoded a few at a time as they are asked for."""
        for index in range(0, len(shown), self._plan.faces):
            batch = shown[index : index + self._plan.faces]
            self._check()
            made = self._coder.decode(torch.stack([_latent(one) for one in batch]))
            require_finite(made, INFO.name)
            filmed = as_faces([one.shot.crop for one in batch], self._plan.device, made.dtype)
            yield from with_surroundings(made, filmed, self._keep).float()

    def _laid(self, shot: Shot, face: Tensor) -> Pixels:
        if shot.seen.matrix is None:
            return shot.picture
        bgr = face.flip(0)
        return laid_onto(shot.picture, lay_back(shot.picture, bgr, shot.seen.matrix, shot.seen.strength))

    @contextmanager
    def _at_work(self, network: torch.nn.Module) -> Iterator[None]:
        """A parked network is on the card for as long as the block lasts. What it is in main memory stays
        there: nothing changes it, so nothing is carried back.
        """
        home: list[tuple[Tensor, Tensor]] = []
        try:
            if self._plan.park:
                for weights in chain(network.parameters(), network.buffers()):
                    home.append((weights, weights.data))
                    weights.data = weights.data.to(self._plan.device)
            yield
        finally:
            for weights, values in home:
                weights.data = values


def _blend(held: _Held, latent: Tensor, weight: float) -> None:
    held.latent = latent if held.latent is None else held.latent.lerp(latent, weight)


def _latent(held: _Held) -> Tensor:
    if held.latent is None:
        raise ValueError("a frame lies in no chunk")
    return held.latent
