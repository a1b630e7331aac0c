"""Denoises chunks of frames: what the UNet is given in every step, and guidance by the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avatar.engines.latentsync.ddim import Step, ddim_steps
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
    """

    unet: LatentSyncUNet
    steps: int = 20
    guidance: float = 1.5
    split: bool = False

    @torch.inference_mode()
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
        latents = noise.to(known.dtype).expand(len(known), -1, -1, -1)
        for step in ddim_steps(self.steps):
            check()
            latents = step.apply(latents, self._noise_in(latents, known, audio, step, frames))
        return latents.unflatten(0, (len(chunks), frames))

    def _noise_in(self, latents: Tensor, known: Tensor, audio: Tensor, step: Step, frames: int) -> Tensor:
        x = torch.cat([latents, known], dim=1)
        number = torch.tensor(float(step.number), device=x.device)
        if self.guidance <= 1:
            return self.unet(x, number, audio, frames)
        silent = torch.zeros_like(audio)
        if self.split:
            without = self.unet(x, number, silent, frames)
            heard = self.unet(x, number, audio, frames)
        else:
            both = self.unet(torch.cat([x, x]), number, torch.cat([silent, audio]), frames)
            without, heard = both.chunk(2)
        return without + self.guidance * (heard - without)


def _known(chunk: Conditions) -> Tensor:
    """(frames, 9, h, w): the mask, then the masked and the whole face."""
    keep = chunk.keep.to(chunk.masked.dtype).expand(chunk.frames, -1, -1, -1)
    return torch.cat([keep, chunk.masked, chunk.reference], dim=1)
