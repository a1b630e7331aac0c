"""Denoises chunks of frames: the steps of DDIM, the input of the UNet in each, and guidance by the sound."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor

from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.unet import LatentSyncUNet

log = logging.getLogger(__name__)

TRAINED_STEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012
"""The square roots of the betas are spaced evenly between the square roots of these."""
OFFSET = 1
GATHER_POWER, GATHER_CENTRE = 1.4, 0.3
"""How full passes gather, and where on the way: the example of the paper's authors (15 of 50 steps)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way. Alphas are cumulative products: of this step, and of the one after it."""

    timestep: int
    alpha_cumprod: float
    alpha_cumprod_prev: float

    def apply(self, sample: Tensor, noise_pred: Tensor) -> Tensor:
        """Returns the latents after this step."""
        alpha, alpha_prev = self.alpha_cumprod, self.alpha_cumprod_prev
        pred_original_sample = (sample - (1 - alpha) ** 0.5 * noise_pred) / alpha**0.5
        return alpha_prev**0.5 * pred_original_sample + (1 - alpha_prev) ** 0.5 * noise_pred


def ddim_steps(count: int) -> tuple[Step, ...]:
    """Returns `count` steps, noisiest first. Past the last one lies the first alpha, not 1."""
    if not 1 <= count <= TRAINED_STEPS:
        raise ValueError(f"steps must be 1 to {TRAINED_STEPS}, not {count}")
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAINED_STEPS, dtype=torch.float32) ** 2
    alphas_cumprod = torch.cumprod(1.0 - betas, dim=0).tolist()
    stride = TRAINED_STEPS // count
    steps = []
    for index in reversed(range(count)):
        timestep = index * stride + OFFSET
        previous = timestep - stride
        alpha_prev = alphas_cumprod[previous] if previous >= 0 else alphas_cumprod[0]
        steps.append(Step(timestep, alphas_cumprod[timestep], alpha_prev))
    return tuple(steps)


def full_steps(count: int, reuse: int) -> tuple[int, ...]:
    """Returns which of `count` steps are full passes with DeepCache: as many as if it were every
    `reuse`th one, and the first among them.

    They gather where the deep features change fastest: evenly spaced in the signed root of the distance from
    a centre (Ma et al. 2024, DeepCache, "non-uniform 1:N"). That lies nearer to full steps than even spacing
    at the same cost (docs/figures/gpu.md).
    """
    full_count = len(range(0, count, reuse))
    if full_count == count:
        return tuple(range(count))
    centre = GATHER_CENTRE * count
    start, end = (_signed_power(far, 1 / GATHER_POWER) for far in (-centre, count - centre))
    spaced = (start + (end - start) * number / full_count for number in range(full_count))
    found = {0} | {int(centre + _signed_power(at, GATHER_POWER)) for at in spaced}
    while len(found) < full_count:  # two fell on one step: the widest gap is halved
        known = sorted(found)
        gap, at = max((after - before, before) for before, after in pairwise([*known, count]))
        found.add(at + gap // 2)
    return tuple(sorted(found))


def _signed_power(value: float, power: float) -> float:
    return math.copysign(abs(value) ** power, value)


Check = Callable[[], None]


class CompiledUNet:
    """The denoiser compiled by torch (TorchInductor, with CUDA graphs on a card that keeps it): an option.

    Stands where the sampler expects the network, with the same numbers but for rounding. The first chunk
    takes minutes longer, so it pays for long videos only. What is compiled is for one number of chunks and
    one length of them: `Clip` asks for no other within a clip.
    """

    def __init__(self, unet: LatentSyncUNet, plan: Plan, **options: Any) -> None:
        # A graph replays on fixed addresses: a network that is parked between chunks has none.
        graphs = plan.device.type == "cuda" and not plan.park
        options = {
            "mode": "reduce-overhead" if graphs else None,
            "dynamic": False,
            "fullgraph": True,
        } | options
        self._forward_full = torch.compile(unet.forward_full, **options)
        self._forward_cached = torch.compile(unet.forward_cached, **options)

    def forward_full(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> tuple[Tensor, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        noise_pred, cache = self._forward_full(sample, timestep, encoder_hidden_states, num_frames)
        return noise_pred.clone(), cache.clone()  # the next replay writes over a graph's results

    def forward_cached(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int, cache: Tensor
    ) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        noise_pred = self._forward_cached(sample, timestep, encoder_hidden_states, num_frames, cache)
        cloned: Tensor = noise_pred.clone()
        return cloned


@dataclass(slots=True)
class _Graph:
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[int, ...]


class GraphedUNet:
    """The denoiser replayed as CUDA graphs, for a step launches more than 3000 kernels, most of them short.

    The first call of each shape runs eagerly and the second is captured. A graph reads weights from the
    addresses they had: when they have moved it is captured anew. It keeps its working memory while it lives.
    """

    def __init__(self, unet: LatentSyncUNet) -> None:
        self._unet = unet
        self._graphs: dict[tuple[Any, ...], _Graph | None] = {}
        self._usable = True

    def forward_full(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> tuple[Tensor, Tensor]:
        noise_pred, cache = self._run(
            lambda x, step, audio: self._unet.forward_full(x, step, audio, num_frames),
            (num_frames, True),
            (sample, timestep, encoder_hidden_states),
        )
        return noise_pred, cache

    def forward_cached(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int, cache: Tensor
    ) -> Tensor:
        (noise_pred,) = self._run(
            lambda x, step, audio, cache: (self._unet.forward_cached(x, step, audio, num_frames, cache),),
            (num_frames, False),
            (sample, timestep, encoder_hidden_states, cache),
        )
        return noise_pred

    def _run(
        self, work: Callable[..., tuple[Tensor, ...]], kind: tuple[Any, ...], inputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        key = (*kind, *(one.shape for one in inputs))
        if not self._usable or key not in self._graphs:
            self._graphs.setdefault(key, None)
            return work(*inputs)
        weights = tuple(one.data_ptr() for one in chain(self._unet.parameters(), self._unet.buffers()))
        graph = self._graphs[key]
        if graph is None or graph.weights != weights:
            self._graphs[key] = None
            try:
                self._graphs[key] = graph = self._capture(work, inputs, weights)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                log.warning("the denoiser is not captured as a CUDA graph, and runs slower: %s", error)
                self._usable = False
                return work(*inputs)
        for place, value in zip(graph.inputs, inputs, strict=True):
            place.copy_(value)
        graph.graph.replay()
        return tuple(one.clone() for one in graph.outputs)

    def _capture(
        self, work: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...], weights: tuple[int, ...]
    ) -> _Graph:
        places = tuple(one.clone() for one in inputs)
        graph = torch.cuda.CUDAGraph()
        # Other threads of the process use the card meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = work(*places)
        return _Graph(graph, places, outputs, weights)


def denoiser_for(unet: LatentSyncUNet, plan: Plan) -> LatentSyncUNet | CompiledUNet | GraphedUNet:
    """Returns the network as the plan runs it: compiled, as CUDA graphs where the card has room, or plain."""
    if plan.compile:
        return CompiledUNet(unet, plan)
    return GraphedUNet(unet) if plan.device.type == "cuda" and not plan.split else unet


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditioning of a chunk. mask (1, 1, h, w): 1 where the picture stays; masked_image_latents and
    reference_latents (frames, 4, h, w): of the faces without and with the mouth; audio_embeds
    (frames, 50, 384).
    """

    mask: Tensor
    masked_image_latents: Tensor
    reference_latents: Tensor
    audio_embeds: Tensor

    @property
    def num_frames(self) -> int:
        return len(self.masked_image_latents)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Classifier-free guidance by the sound: `guidance` above 1 runs the UNet without and with it.

    split: the two runs follow each other instead of sharing a batch, for half the memory.
    reuse: the interval of DeepCache. Only one of so many steps is a full pass (see `full_steps`); the others
    take the deep features from its cache. 1 is the original's default; 3 takes less than half the work and
    changes the result.
    """

    unet: LatentSyncUNet | CompiledUNet | GraphedUNet
    steps: int = 20
    guidance: float = 1.5
    split: bool = False
    reuse: int = 1

    def denoise(self, noise: Tensor, chunks: Sequence[Conditions], check: Check = lambda: None) -> Tensor:
        """Returns the latents (chunks, frames, 4, h, w) of chunks of one length.

        noise (1, 4, h, w) is the start of every frame of every chunk. The frames of a chunk share their
        GroupNorm and those of different chunks do not, so a chunk comes out the same whatever is beside it.
        """
        num_frames = chunks[0].num_frames
        if any(chunk.num_frames != num_frames for chunk in chunks):
            raise ValueError("chunks that are denoised together have one length")
        conditioning = torch.cat([_conditioning(chunk) for chunk in chunks])
        audio_embeds = torch.cat([chunk.audio_embeds for chunk in chunks]).to(conditioning.dtype)
        runs = self._guidance_runs(audio_embeds)
        latents = noise.to(conditioning.dtype).expand(len(conditioning), -1, -1, -1)
        full = full_steps(self.steps, self.reuse)
        with torch.inference_mode():
            for index, step in enumerate(ddim_steps(self.steps)):
                check()
                sample = torch.cat([latents, conditioning], dim=1)
                timestep = torch.full((), float(step.timestep), device=sample.device)
                noise_pred = self._predict_guided(sample, timestep, runs, num_frames, full=index in full)
                latents = step.apply(latents, noise_pred)
        return latents.unflatten(0, (len(chunks), num_frames))

    def _guidance_runs(self, audio_embeds: Tensor) -> list[_GuidanceRun]:
        """Returns the runs of a step: silence and sound, in one batch unless split; or sound alone."""
        if self.guidance <= 1:
            return [_GuidanceRun(audio_embeds, 1)]
        silence = torch.zeros_like(audio_embeds)
        if self.split:
            return [_GuidanceRun(silence, 1), _GuidanceRun(audio_embeds, 1)]
        return [_GuidanceRun(torch.cat([silence, audio_embeds]), 2)]

    def _predict_guided(
        self, sample: Tensor, timestep: Tensor, runs: list[_GuidanceRun], num_frames: int, *, full: bool
    ) -> Tensor:
        noise_pred = torch.cat(
            [self._predict_noise(sample, timestep, run, num_frames, full=full) for run in runs]
        )
        if self.guidance <= 1:
            return noise_pred
        noise_pred_uncond, noise_pred_cond = noise_pred.chunk(2)
        return noise_pred_uncond + self.guidance * (noise_pred_cond - noise_pred_uncond)

    def _predict_noise(
        self, sample: Tensor, timestep: Tensor, run: _GuidanceRun, num_frames: int, *, full: bool
    ) -> Tensor:
        sample = torch.cat([sample] * run.copies)
        if not full and run.cache is not None:
            return self.unet.forward_cached(
                sample, timestep, run.encoder_hidden_states, num_frames, run.cache
            )
        noise_pred, cache = self.unet.forward_full(sample, timestep, run.encoder_hidden_states, num_frames)
        run.cache = cache if self.reuse > 1 else None
        return noise_pred


@dataclass(slots=True)
class _GuidanceRun:
    """One run of the network in every step: for so many copies of the latents, with its cached features."""

    encoder_hidden_states: Tensor
    copies: int
    cache: Tensor | None = None


def _conditioning(chunk: Conditions) -> Tensor:
    """Returns (frames, 9, h, w): the mask, then the latents of the masked and of the whole face."""
    mask = chunk.mask.to(chunk.masked_image_latents.dtype).expand(chunk.num_frames, -1, -1, -1)
    return torch.cat([mask, chunk.masked_image_latents, chunk.reference_latents], dim=1)
