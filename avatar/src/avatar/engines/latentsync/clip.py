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

from avatar.engines.latentsync import INFO
from avatar.engines.latentsync.face_placement import FacePlacement
from avatar.engines.latentsync.faces import (
    face_mask,
    faces_to_tensor,
    mask_faces,
    mask_to_latent,
    paste_patch,
    paste_surroundings,
    warp_back,
)
from avatar.engines.latentsync.loading import Networks
from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.sampler import Conditions, Sampler, denoiser_for
from avatar.engines.latentsync.shapes import LATENT_CHANNELS, VAE_SCALE
from avatar.engines.latentsync.vae import FaceCoder
from avatar.engines.precision import require_finite
from avatar.engines.resume_cache import NO_CACHE, ResumeCache, digest, fingerprint

LENGTH = 16
OVERLAP = 2
"""Four give seams and flicker of the same size (docs/figures/gpu.md, "Seams") and a sixth more chunks."""


def plan_chunks(frames: int, length: int = LENGTH, overlap: int = OVERLAP) -> list[range]:
    """Chunks of one length that cover `frames` and overlap by `overlap` frames or a little more.

    A frame's result depends on its chunk mates, so no chunk is shorter than the others; only a clip that is
    shorter than a chunk is one short chunk.
    """
    if not 0 <= overlap < length:
        raise ValueError(f"an overlap of {overlap} does not fit into chunks of {length}")
    if frames <= length:
        return [range(frames)] if frames > 0 else []
    count = -(-(frames - overlap) // (length - overlap))
    starts = [round(index * (frames - length) / (count - 1)) for index in range(count)]
    return [range(start, start + length) for start in starts]


def incoming_weight(frame: int, before: range, chunk: range) -> float:
    """Returns the weight of `chunk` against the one before at `frame`: it rises evenly over the overlap."""
    shared = before.stop - chunk.start
    return 1.0 if frame >= before.stop else (frame - chunk.start + 1) / (shared + 1)


Pixels = npt.NDArray[np.uint8]
VERSION = "latentsync 4"
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
class FrameInput:
    """One filmed frame: BGR picture, where its face is, the aligned face in RGB, and what is heard then."""

    picture: Pixels
    placement: FacePlacement
    crop: Pixels
    tokens: Tensor


@dataclass(slots=True)
class _PendingFrame:
    frame_input: FrameInput
    masked_image_latents: Tensor
    reference_latents: Tensor
    latent: Tensor | None = None


class Clip:
    """Draws the mouths of one clip; its networks are lent."""

    def __init__(
        self,
        networks: Networks,
        plan: Plan,
        settings: Settings,
        check: Callable[[], None] = lambda: None,
        resume_cache: ResumeCache = NO_CACHE,
    ) -> None:
        self._networks, self._plan, self._settings, self._check = networks, plan, settings, check
        self._resume_cache, self._engine_digest = resume_cache, ""
        self._coder = FaceCoder(networks.vae, at_once=plan.faces, bands=plan.bands)
        networks.unet.slice_feed_forward(plan.slices)
        unet = denoiser_for(networks.unet, plan)
        self._sampler = Sampler(
            unet, settings.steps, settings.guidance, split=plan.split, reuse=settings.reuse
        )
        side = settings.side_px // VAE_SCALE
        # Drawn on the processor: the same seed gives the same start on every card.
        noise = torch.randn(
            (1, LATENT_CHANNELS, side, side), generator=torch.Generator().manual_seed(settings.seed)
        )
        self._noise = noise.to(plan.device, plan.dtype)
        self._mask = torch.from_numpy(face_mask(settings.side_px)).to(plan.device)
        self._mask_latent = mask_to_latent(self._mask).to(plan.dtype)

    def draw(self, frame_inputs: Iterator[FrameInput], frames: int) -> Iterator[Pixels]:
        """Yields `frames` BGR pictures, one for each shot. Holds at most two chunks of shots, or two for each
        that runs at once.
        """
        chunks = plan_chunks(frames, self._settings.length, self._settings.overlap)
        # Compiled code is of one shape: a group that is smaller than the others would be compiled anew.
        at_once = min(self._plan.chunks, len(chunks)) if self._plan.compile else 1
        pending: deque[_PendingFrame] = deque()
        first = 0
        before = range(0)
        for index in range(0, len(chunks), self._plan.chunks):
            group = chunks[index : index + self._plan.chunks]
            self._encode(frame_inputs, pending, group[-1].stop - first - len(pending))
            latents = self._denoise([[pending[frame - first] for frame in chunk] for chunk in group], at_once)
            for chunk, decoded in zip(group, latents, strict=True):
                for frame, latent in zip(chunk, decoded, strict=True):
                    _blend_overlap(pending[frame - first], latent, incoming_weight(frame, before, chunk))
                before = chunk
            next_start = chunks[index + len(group)].start if index + len(group) < len(chunks) else frames
            done = [pending.popleft() for _ in range(next_start - first)]
            first = next_start
            yield from self._decode_frames(done)

    def _encode(self, frame_inputs: Iterator[FrameInput], pending: deque[_PendingFrame], count: int) -> None:
        """Encodes the next `count` shots, a few at a time."""
        coming = islice(frame_inputs, count)
        with self._on_device(self._networks.vae):
            while batch := list(islice(coming, self._plan.faces)):
                self._check()
                faces = faces_to_tensor(
                    [frame_input.crop for frame_input in batch], self._plan.device, self._plan.dtype
                )
                masked_image_latents = self._coder.encode(mask_faces(faces, self._mask))
                reference_latents = self._coder.encode(faces)
                pending.extend(
                    _PendingFrame(*parts)
                    for parts in zip(
                        batch, masked_image_latents.unbind(), reference_latents.unbind(), strict=True
                    )
                )

    def _denoise(self, groups: list[list[_PendingFrame]], at_once: int) -> Tensor:
        """Returns latents (chunks, frames, 4, h, w). A chunk in which no face shows, or that an earlier run
        has made, is not computed. Where fewer than `at_once` are left the last is computed so many times.
        """
        shape = (len(groups), len(groups[0]), *self._noise.shape[1:])
        latents = torch.zeros(shape, device=self._plan.device, dtype=self._plan.dtype)
        shown = [
            n
            for n, group in enumerate(groups)
            if any(one.frame_input.placement.strength > 0 for one in group)
        ]
        names = {n: self._chunk_digest(groups[n]) for n in shown}
        for n, name in names.items():
            if (found := self._resume_cache.get(name)) is not None:
                shown.remove(n)
                latents[n] = torch.frombuffer(bytearray(found), dtype=latents.dtype).view(shape[1:])
        if not shown:
            return latents
        conditions = [
            Conditions(
                mask=self._mask_latent,
                masked_image_latents=torch.stack([one.masked_image_latents for one in groups[n]]),
                reference_latents=torch.stack([one.reference_latents for one in groups[n]]),
                audio_embeds=torch.stack([one.frame_input.tokens for one in groups[n]]).to(self._plan.device),
            )
            for n in shown
        ]
        conditions += conditions[-1:] * (at_once - len(conditions))
        with self._on_device(self._networks.unet):
            latents[shown] = self._sampler.denoise(self._noise, conditions, self._check)[: len(shown)]
        require_finite(latents, INFO.name)
        if self._resume_cache.enabled:  # what comes from a card is waited for
            for n in shown:
                self._resume_cache.put(names[n], latents[n].view(torch.uint8).cpu().numpy().tobytes())
        return latents

    def _chunk_digest(self, group: list[_PendingFrame]) -> str:
        """Returns a hash of all that a chunk's latents follow from; sharing a card changes only last bits."""
        if not self._resume_cache.enabled:
            return ""
        if not self._engine_digest:
            weights = (self._networks.unet.state_dict(), self._networks.vae.state_dict())
            prints = [fingerprint(state.items()) for state in weights]
            self._engine_digest = digest(VERSION, str(self._plan.dtype), repr(self._settings), *prints)
        return digest(
            self._engine_digest,
            *(one.frame_input.crop for one in group),
            *(one.frame_input.tokens.float().cpu().numpy() for one in group),
        )

    def _decode_frames(self, done: list[_PendingFrame]) -> Iterator[Pixels]:
        faces = self._decode_faces([one for one in done if one.frame_input.placement.strength > 0])
        if self._plan.park:  # it comes onto the card once for all of them
            with self._on_device(self._networks.vae):
                faces = iter(list(faces))
        for one in done:
            self._check()
            yield (
                one.frame_input.picture
                if one.frame_input.placement.strength <= 0
                else self._paste(one.frame_input, next(faces))
            )

    def _decode_faces(self, shown: list[_PendingFrame]) -> Iterator[Tensor]:
        """Yields decoded faces with their filmed surroundings, a few of them decoded at a time."""
        for index in range(0, len(shown), self._plan.faces):
            batch = shown[index : index + self._plan.faces]
            self._check()
            decoded = self._coder.decode(torch.stack([_latent(one) for one in batch]))
            require_finite(decoded, INFO.name)
            filmed = faces_to_tensor(
                [one.frame_input.crop for one in batch], self._plan.device, decoded.dtype
            )
            yield from paste_surroundings(decoded, filmed, self._mask).float()

    def _paste(self, frame_input: FrameInput, face: Tensor) -> Pixels:
        if frame_input.placement.matrix is None:
            return frame_input.picture
        bgr = face.flip(0)
        return paste_patch(
            frame_input.picture,
            warp_back(frame_input.picture, bgr, frame_input.placement.matrix, frame_input.placement.strength),
        )

    @contextmanager
    def _on_device(self, network: torch.nn.Module) -> Iterator[None]:
        """Puts a parked network onto the card for as long as the block lasts. Its weights in main memory stay
        there: nothing changes them, so nothing is copied back.
        """
        parked: list[tuple[Tensor, Tensor]] = []
        try:
            if self._plan.park:
                for weights in chain(network.parameters(), network.buffers()):
                    parked.append((weights, weights.data))
                    weights.data = weights.data.to(self._plan.device)
            yield
        finally:
            for weights, values in parked:
                weights.data = values


def _blend_overlap(pending: _PendingFrame, latent: Tensor, weight: float) -> None:
    pending.latent = latent if pending.latent is None else pending.latent.lerp(latent, weight)


def _latent(pending: _PendingFrame) -> Tensor:
    if pending.latent is None:
        raise ValueError("a frame lies in no chunk")
    return pending.latent
