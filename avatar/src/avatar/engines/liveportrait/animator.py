"""Runs the networks on pictures: what a face does, and the picture of it doing something else.

The only module of the engine that sees tensors and arrays; all others see one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avatar.engines.card import answering_card
from avatar.engines.card_memory import out_of_memory
from avatar.engines.liveportrait import INFO
from avatar.engines.liveportrait.motion_values import Array, Motion, Pose, degrees_of, rotation_of
from avatar.engines.liveportrait.networks import Networks, retarget, stitch
from avatar.engines.precision import require_finite
from avatar.engines.resume_cache import digest, fingerprint
from avatar.errors import Unavailable

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")
VERSION = "liveportrait 1"
"""Of what is kept of a stopped run; a change of the arithmetic behind it needs another."""


class Animator:
    """Networks on a device. One thread at a time."""

    def __init__(
        self,
        networks: Networks,
        device: torch.device,
        dtype: torch.dtype,
        *,
        stitching: bool = True,
        strength: float = 1.0,
        compile: bool = False,
    ) -> None:
        """`compile`: W and G by torch's compiler; the first frame takes a minute longer."""
        self.networks = networks.prepare_inference(device, dtype)
        self.device, self.dtype = device, dtype
        self.side_px = networks.sizes.picture_px
        self._stitching, self._strength = stitching, strength
        self._identity = ""
        self._warping, self._generator = self.networks.warping, self.networks.generator
        self._compiled, self._compiled_for = compile, 0
        if compile:
            self._warping, self._generator = (
                torch.compile(part, dynamic=False) for part in (self._warping, self._generator)
            )

    @property
    def identity(self) -> str:
        """Of weights and settings: the same for the same pictures."""
        if not self._identity:
            weights = fingerprint(self.networks.state_dict().items())
            self._identity = digest(VERSION, weights, str(self.dtype), self._stitching, self._strength)
        return self._identity

    @contextmanager
    def stoppable(self, check: Callable[[], None]) -> Iterator[None]:
        """Asks `check`, which raises when the work is to stop, before each layer, too: a processor needs
        seconds for a frame, and no signal reaches a thread in the midst of it. A card is quick.
        """
        layers = self.networks.modules() if self.device.type == "cpu" and not self._compiled else ()
        hooks = [layer.register_forward_pre_hook(lambda *_: check()) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def motions(self, crops: Sequence[Pixels]) -> list[Motion]:
        """Returns the motion of the faces in BGR crops (256, 256, 3). Raises as `draw`."""
        return [motion for part in self._in_parts(self._motions, crops) for motion in part]

    @torch.inference_mode()
    def _motions(self, crops: Sequence[Pixels]) -> list[Motion]:
        with answering_card():
            raw = self.networks.motion(self._pictures(crops))
            held = torch.cat([raw.kp, raw.exp, raw.t, raw.scale, raw.pitch, raw.yaw, raw.roll], dim=1)
            require_finite(held, INFO.name)
            rows = held.cpu().numpy()
        kp, exp, t, scale, *angles = np.split(rows, np.cumsum([63, 63, 3, 1, 66, 66]), axis=1)
        degrees = zip(*(degrees_of(angle).tolist() for angle in angles), strict=True)
        return [
            Motion(
                kp=kp[index].reshape(-1, 3),
                exp=exp[index].reshape(-1, 3),
                rotation=rotation_of(*angle),
                t=t[index],
                scale=float(scale[index, 0]),
            )
            for index, angle in enumerate(degrees)
        ]

    @torch.inference_mode()
    def volume(self, crops: Sequence[Pixels]) -> Tensor:
        """The appearance of faces in BGR crops (256, 256, 3); stays on the device. Raises as `draw`."""
        parts = self._in_parts(self._volume, crops)
        return parts[0] if len(parts) == 1 else self._joined(parts)

    def _volume(self, crops: Sequence[Pixels]) -> Tensor:
        with answering_card():
            return self.networks.appearance(self._pictures(crops))

    @torch.inference_mode()
    def place(self, poses: Sequence[Pose]) -> tuple[Tensor, Tensor]:
        """Keypoints of the source and where they go, (batch, 21, 3) each: retargeted and stitched."""
        source = self._tensor([pose.source for pose in poses])
        driven = self._tensor([pose.driven for pose in poses])
        driven = driven + self._change("eyes", source, [pose.eyes for pose in poses])
        driven = driven + self._change("lips", source, [pose.lips for pose in poses])
        if self._stitching:
            driven = stitch(self.networks.stitching, source, driven)
        driven = driven + self._change("lips", source, [pose.shut_lips for pose in poses])
        return source, source + (driven - source) * self._strength

    @torch.inference_mode()
    def tensor_of(self, volume: Tensor, poses: Sequence[Pose]) -> Tensor:
        """RGB 0..1 (batch, 3, 512, 512). `volume` holds one appearance for all poses, or one for each."""
        source, driven = self.place(poses)
        if len(volume) == 1:
            volume = volume.expand(len(poses), -1, -1, -1, -1)
        return self._generator(self._warping(volume, driven, source))

    def draw(self, volume: Tensor, poses: Sequence[Pose]) -> Pixels:
        """As `tensor_of`, as BGR uint8 (batch, 512, 512, 3). A batch too large for the card is halved.

        Raises Unavailable `gpu.out_of_memory` when a single frame does not fit, `gpu.not_finite`, `gpu.lost`.
        """
        try:
            with answering_card():
                return self._drawn(*self._filled(volume, poses))[: len(poses)]
        except torch.OutOfMemoryError as error:
            if len(poses) == 1 and self._compiled_for <= 1:
                raise _too_small(error) from error
        # Outside of the handler, whose traceback holds what filled the card.
        self._give_back()
        self._compiled_for = 0
        if len(poses) == 1:
            return self.draw(volume, poses)
        half = len(poses) // 2
        first, second = (volume, volume) if len(volume) == 1 else (volume[:half], volume[half:])
        return np.concatenate([self.draw(first, poses[:half]), self.draw(second, poses[half:])])

    def _filled(self, volume: Tensor, poses: Sequence[Pose]) -> tuple[Tensor, Sequence[Pose]]:
        """The last one again up to the batch that was compiled: another shape would be compiled anew."""
        if not self._compiled:
            return volume, poses
        self._compiled_for = max(self._compiled_for, len(poses))
        more = self._compiled_for - len(poses)
        if more and len(volume) > 1:
            volume = torch.cat([volume, volume[-1:].expand(more, -1, -1, -1, -1)])
        return volume, [*poses, *[poses[-1]] * more]

    @torch.inference_mode()
    def _drawn(self, volume: Tensor, poses: Sequence[Pose]) -> Pixels:
        frames = self.tensor_of(volume, poses)
        require_finite(frames, INFO.name)
        levels = (frames.float() * 255 + 0.5).to(torch.uint8)
        return np.ascontiguousarray(levels.flip(1).permute(0, 2, 3, 1).cpu().numpy())

    def _in_parts(self, work: Callable[[Sequence[Pixels]], T], crops: Sequence[Pixels]) -> list[T]:
        """Returns the results of `work` for the crops: at once, or of halves where they are too many for the
        card.
        """
        try:
            return [work(crops)]
        except torch.OutOfMemoryError as error:
            if len(crops) == 1:
                raise _too_small(error) from error
        self._give_back()
        half = len(crops) // 2
        return self._in_parts(work, crops[:half]) + self._in_parts(work, crops[half:])

    def _joined(self, parts: list[Tensor]) -> Tensor:
        try:
            with answering_card():
                return torch.cat(parts)
        except torch.OutOfMemoryError as error:
            raise _too_small(error) from error

    def _give_back(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _pictures(self, crops: Sequence[Pixels]) -> Tensor:
        stacked = torch.from_numpy(np.stack(crops)).to(self.device)
        return (stacked.flip(3).permute(0, 3, 1, 2).float() / 255).to(self.dtype).contiguous()

    def _tensor(self, rows: Sequence[Array]) -> Tensor:
        return torch.from_numpy(np.stack(rows).astype(np.float32)).to(self.device)

    def _change(self, network: str, source: Tensor, ratios: Sequence[Array | None]) -> Tensor:
        """Returns what the perceptron adds to each row; zero for rows without a ratio."""
        change = torch.zeros_like(source)
        rows = [index for index, ratio in enumerate(ratios) if ratio is not None]
        if rows:
            values = self._tensor([ratio for ratio in ratios if ratio is not None])
            change[rows] = retarget(getattr(self.networks, network), source[rows], values)
        return change


def _too_small(error: torch.OutOfMemoryError) -> Unavailable:
    """Not even one frame fits: what was wanted, what is free, what we took."""
    return out_of_memory(error, low=True, engine=f"{INFO.name}, for one frame,")
