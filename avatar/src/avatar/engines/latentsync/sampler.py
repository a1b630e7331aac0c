"""Denoises chunks of frames: what the UNet is given in every step, and guidance by the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avatar.engines.latentsync.compiled import CompiledUNet
from avatar.engines.latentsync.ddim import ddim_steps, whole_steps
from avatar.engines.latentsync.unet import LatentSyncUNet

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of a chunk. keep (1, 1, h, w): 1 where the picture stays; masked and reference
    (frames, 4, h, w): latents of the faces without and with the mouth; audio (frames, 50, 384).
    """

    keep: Tensor
    masked: Tensor
    reference: Tensor
    audio: Tensor

    @property
    def frames(self) -> int:
        return len(self.masked)


@dataclass(frozen=True, slots=True)
class Sampler:
    """`guidance` above 1 runs the UNet twice, without and with sound, and goes beyond the second.

    split: the two runs follow each other instead of sharing a batch, for half the memory.
    reuse: only one of so many steps computes the whole network (see `whole_steps`); between them its depth
    is kept. 1 is the original's default; 3 takes less than half the work and changes the result.
    """

    unet: LatentSyncUNet | CompiledUNet
    steps: int = 20
    guidance: float = 1.5
    split: bool = False
    reuse: int = 1

    def denoise(self, noise: Tensor, chunks: Sequence[Conditions], check: Check = lambda: None) -> Tensor:
        """Latents (chunks, frames, 4, h, w) of chunks of one length.

        noise (1, 4, h, w) is the start of every frame of every chunk. The frames of a chunk share their
        GroupNorm and those of different chunks do not, so a chunk comes out the same whatever is beside it.
        """
        frames = chunks[0].frames
        if any(chunk.frames != frames for chunk in chunks):
            raise ValueError("chunks that are denoised together have one length")
        known = torch.cat([_known(chunk) for chunk in chunks])
        audio = torch.cat([chunk.audio for chunk in chunks]).to(known.dtype)
        heard = self._heard(audio)
        latents = noise.to(known.dtype).expand(len(known), -1, -1, -1)
        whole_ones = whole_steps(self.steps, self.reuse)
        with torch.inference_mode():
            for index, step in enumerate(ddim_steps(self.steps)):
                check()
                whole = index in whole_ones
                x = torch.cat([latents, known], dim=1)
                number = torch.full((), float(step.number), device=x.device)
                latents = step.apply(latents, self._guided(x, number, heard, frames, whole=whole))
        return latents.unflatten(0, (len(chunks), frames))

    def _heard(self, audio: Tensor) -> list[_Heard]:
        """The runs of a step: silence and sound, in one batch unless split; without guidance sound alone."""
        if self.guidance <= 1:
            return [_Heard(audio, 1)]
        silent = torch.zeros_like(audio)
        return (
            [_Heard(silent, 1), _Heard(audio, 1)] if self.split else [_Heard(torch.cat([silent, audio]), 2)]
        )

    def _guided(self, x: Tensor, number: Tensor, heard: list[_Heard], frames: int, *, whole: bool) -> Tensor:
        made = torch.cat([self._noise_in(x, number, run, frames, whole=whole) for run in heard])
        if self.guidance <= 1:
            return made
        without, said = made.chunk(2)
        return without + self.guidance * (said - without)

    def _noise_in(self, x: Tensor, number: Tensor, run: _Heard, frames: int, *, whole: bool) -> Tensor:
        x = torch.cat([x] * run.copies)
        if not whole and run.depth is not None:
            return self.unet.shallow(x, number, run.audio, frames, run.depth)
        noise, depth = self.unet.with_depth(x, number, run.audio, frames)
        run.depth = depth if self.reuse > 1 else None
        return noise


@dataclass(slots=True)
class _Heard:
    """One run of the network in every step: `copies` of the latents with `audio`, and its depth if kept."""

    audio: Tensor
    copies: int
    depth: Tensor | None = None


def _known(chunk: Conditions) -> Tensor:
    """(frames, 9, h, w): the mask, then the masked and the whole face."""
    keep = chunk.keep.to(chunk.masked.dtype).expand(chunk.frames, -1, -1, -1)
    return torch.cat([keep, chunk.masked, chunk.reference], dim=1)
