"""What `--reuse` of LatentSync's denoiser changes in the drawn mouth, beside the published DeepCache.

    P=$(scripts/torch_environment)/bin/python
    $P bench/parity/quality_reuse.py [--steps 20] [--reuse 2 3 5] [--seeds 3]
    $P -m pip download --no-deps DeepCache && unzip DeepCache-*.whl        # Apache 2.0; or a checkout
    … --deepcache FOLDER                                                  # which holds DeepCache/extension
    … --weights FOLDER --video person.mp4 --sound speech.wav              # an operator's, best on a card

A whole step computes all of the network, a shallow one its outermost part; every row is compared with a run
of whole steps alone. `--deepcache` runs the authors' own program on the same network with as many whole
steps, evenly spaced, keeping what lies below branch 0 (the least work, as ours) or 1.

Without `--weights` reduced networks of random weights draw a synthetic speaker on the processor, others for
each seed: that says how the arithmetic behaves, not how a trained network's pictures look.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / "avatar/src"),
    *(str(ROOT / "tests/avatar" / room) for room in ("parity", "latentsync")),
]

import latentsync_cases as cases  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import torch  # noqa: E402
from avatar.engines.base import EngineReport  # noqa: E402
from avatar.engines.latentsync import engine  # noqa: E402
from avatar.engines.latentsync.clip import Clip, Settings, Shot  # noqa: E402
from avatar.engines.latentsync.ddim import ddim_steps, full_steps  # noqa: E402
from avatar.engines.latentsync.engine import Job, LatentSync  # noqa: E402
from avatar.engines.latentsync.faces import face_mask  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.memory import Plan  # noqa: E402
from avatar.engines.motion.footage import Footage  # noqa: E402
from avatar.engines.neural.models import load_mouth  # noqa: E402
from avatar.spec import MediaRef, VideoFace  # noqa: E402
from synthetic_speaker import SIZE, Clips, DotTracker  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

Floats = npt.NDArray[np.float32]
FPS = 25
SMALL_SIDE_PX = 128
HALF_LEVELS = 127.5
"""Faces lie in -1..1: so many levels of 255 are a whole of them."""
BRANCHES = (0, 1)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn, by a seed: networks, how they run, settings, and the clip."""

    job: Job
    side_px: int
    opened: Callable[[int], tuple[Networks, Plan, Settings]]
    tracker: engine.OpenTracker


@dataclass(frozen=True, slots=True)
class Way:
    """One way to save work. `whole`: how many steps it computes whole. `reuse`: ours, for the sampler;
    `standing_in`: what draws in the denoiser's place meanwhile.
    """

    name: str
    whole: int
    reuse: int = 1
    standing_in: Callable[[Any], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True, slots=True)
class Drawn:
    """Of all chunks: latents; of all frames: the mouth's values (frames, 3, pixels) in levels; the work."""

    latents: torch.Tensor
    mouth: Floats
    operations: int


@dataclass(frozen=True, slots=True)
class Apart:
    """How far one run lies from that of whole steps."""

    latents: float
    mean: float
    p99: float
    flicker: float
    work: float


def main() -> None:
    given = arguments()
    torch.set_num_threads(min(8, torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as name:
        scene = operators(given) if given.weights else synthetic(given, Path(name))
        ways = [way for reuse in given.reuse for way in ways_of(reuse, given.steps, given.deepcache)]
        found: dict[str, list[Apart]] = {way.name: [] for way in ways}
        for seed in range(1, given.seeds + 1):
            full = drawn(scene, seed, Way("whole", given.steps), Path(name))
            for way in ways:
                found[way.name].append(apart(drawn(scene, seed, way, Path(name)), full))
            print(f"seed {seed} of {given.seeds}", file=sys.stderr, flush=True)
    told(given, scene, ways, found)


def told(given: argparse.Namespace, scene: Scene, ways: list[Way], found: dict[str, list[Apart]]) -> None:
    what = given.weights.name if given.weights else "reduced networks of random weights"
    print(f"{what}, {scene.job.frames} frames, faces of {scene.side_px} pixels, {given.steps} steps,")
    print(f"guidance {given.guidance:g}, {given.seeds} seeds: mean (least to most)\n")
    print("| way | whole steps | operations | latents apart | mouth, mean of 255 | 99 % below | flicker |")
    print("|---|---|---|---|---|---|---|")
    for way in ways:
        rows = found[way.name]
        cells = [
            spread([one.latents for one in rows], "{:.2%}"),
            spread([one.mean for one in rows], "{:.3f}"),
            spread([one.p99 for one in rows], "{:.2f}"),
            spread([one.flicker for one in rows], "{:.3f}"),
        ]
        print(f"| {way.name} | {way.whole} of {given.steps} | {rows[0].work:.0%} | {' | '.join(cells)} |")


def spread(values: list[float], form: str) -> str:
    mean = form.format(sum(values) / len(values))
    return mean if len(values) == 1 else f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def ways_of(reuse: int, steps: int, deepcache: Path | None) -> list[Way]:
    """Ours, and the others' that compute as many whole steps."""
    whole = len(full_steps(steps, reuse))
    ways = [Way(f"`--reuse {reuse}`", whole, reuse=reuse)]
    if deepcache is not None:
        ways += [
            Way(
                f"DeepCache, N = {reuse}, branch {branch}",
                whole,
                standing_in=lambda unet, branch=branch: published(unet, deepcache, steps, reuse, branch),
            )
            for branch in BRANCHES
        ]
    return ways


@contextmanager
def published(unet: Any, folder: Path, steps: int, interval: int, branch: int) -> Iterator[Any]:
    """The denoiser with the authors' helper hung into its modules: they keep what they gave."""
    unet.forward = partial(with_blocks_apart, unet)
    pipe = SimpleNamespace(
        unet=unet, scheduler=SimpleNamespace(timesteps=[float(step.timestep) for step in ddim_steps(steps)])
    )
    helper = helper_of(folder)(pipe=pipe)
    helper.set_params(cache_interval=interval, cache_branch_id=branch)
    helper.enable()
    # With a batch of guidance in one call, as the sampler gives it where a run is not split.
    through = SimpleNamespace(
        forward_full=lambda x, step, audio, frames: (unet(x, step, audio, frames), x),
        slice_feed_forward=unet.slice_feed_forward,
        to=unet.to,
    )
    try:
        yield through
    finally:
        for module in unet.modules():
            vars(module).pop("forward", None)


def with_blocks_apart(unet: Any, x: Any, step: Any, audio: Any, frames: int) -> torch.Tensor:
    """As the network's own `forward`, but a level of the way up is given its pictures and takes none, so that
    it may be left out, as the helper does.
    """
    time, x = unet._embed(x, step)
    kept = [x]
    for level in unet.down_blocks:
        x, more = level(x, time, audio, frames)
        kept += more
    x = unet.mid_block(x, time, audio, frames)
    for level in unet.up_blocks[:-1]:
        own = [kept.pop() for _ in level.resnets]
        x = level(x, own[::-1], time, audio, frames)
    top = unet.up_blocks[-1]
    for index in range(len(top.resnets) - 1):
        x = top.run_layer(index, x, kept.pop(), time, audio, frames)
    noise: torch.Tensor = unet._predict(x, kept.pop(), time, audio, frames)
    return noise


def helper_of(folder: Path) -> Any:
    """Of the file alone: the package around it needs pipelines of an older diffusers."""
    path = folder / "DeepCache/extension/deepcache.py"
    spec = importlib.util.spec_from_file_location("deepcache_helper", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--deepcache: there is no {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DeepCacheSDHelper


def drawn(scene: Scene, seed: int, way: Way, folder: Path) -> Drawn:
    """The scene by this way of saving work."""
    networks, plan, settings = scene.opened(seed)
    latents: list[torch.Tensor] = []
    mouths: list[Floats] = []
    hole = torch.from_numpy(face_mask(scene.side_px)) < 0.5
    counter = FlopCounterMode(display=False)

    class Watched(Clip):
        """Keeps what it denoised and drew."""

        def _denoise(self, *given: Any) -> torch.Tensor:
            with counter if seed == 1 else nullcontext():
                made = super()._denoise(*given)
            latents.append(made.float().cpu())
            return made

        def _paste(self, shot: Shot, face: torch.Tensor) -> engine.Pixels:
            mouths.append(np.asarray(face.cpu()[:, hole] * HALF_LEVELS, np.float32))
            return super()._paste(shot, face)

    vars(engine)["Clip"] = Watched
    with way.standing_in(networks.unet) as unet:
        made = LatentSync(
            replace(networks, unet=unet), plan, replace(settings, reuse=way.reuse), tracker=scene.tracker
        )
        with made.pictures(scene.job, folder, EngineReport()) as pictures:
            for _ in pictures:
                pass
    return Drawn(torch.cat(latents), np.stack(mouths), counter.get_total_flops())


def apart(made: Drawn, full: Drawn) -> Apart:
    levels = np.abs(made.mouth - full.mouth)
    return Apart(
        latents=float((made.latents - full.latents).norm() / full.latents.norm()),
        mean=float(levels.mean()),
        p99=float(np.percentile(levels, 99)),
        flicker=flicker(made.mouth) / flicker(full.mouth),
        work=made.operations / full.operations if full.operations else 1.0,
    )


def flicker(mouth: Floats) -> float:
    """The second difference in time, on average."""
    return float(np.abs(np.diff(mouth, n=2, axis=0)).mean())


def synthetic(given: argparse.Namespace, folder: Path) -> Scene:
    """A drawn head that sways, spoken to by small random networks."""
    clips = Clips(folder)
    job = Job(
        face=VideoFace(video=MediaRef(path="synthetic"), pauses="drawn"),
        video=clips.video(given.frames),
        name="the synthetic speaker",
        sound=clips.sound(given.frames / FPS),
        frames=given.frames,
        size=SIZE,
        gated=False,
    )

    def opened(seed: int) -> tuple[Networks, Plan, Settings]:
        networks = Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae())
        for number, network in enumerate((networks.unet, networks.whisper, networks.vae)):
            cases.fill(network, 10 * seed + number)
        plan = Plan(torch.device("cpu"), torch.float32, split=False, faces=8)
        return networks, plan, settings_of(given, SMALL_SIDE_PX, seed)

    return Scene(job, SMALL_SIDE_PX, opened, DotTracker)


def operators(given: argparse.Namespace) -> Scene:
    """An operator's weights, video and sound."""
    if given.video is None or given.sound is None:
        raise SystemExit("--weights needs --video and --sound: trained networks make nothing of a drawing")
    footage = Footage.open(given.video, given.video.name)
    mouth = load_mouth(given.weights, "full")
    job = Job(
        face=VideoFace(video=MediaRef(path=str(given.video)), pauses="drawn"),
        video=given.video,
        name=given.video.name,
        sound=given.sound,
        frames=given.frames,
        size=(footage.width, footage.height),
    )
    side_px = Settings().side_px

    def opened(seed: int) -> tuple[Networks, Plan, Settings]:
        return mouth.networks, replace(mouth.ways, split=False), settings_of(given, side_px, seed)

    return Scene(job, side_px, opened, engine.open_aligning_tracker)


def settings_of(given: argparse.Namespace, side_px: int, seed: int) -> Settings:
    return Settings(steps=given.steps, guidance=given.guidance, side_px=side_px, seed=seed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--reuse", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=28, help="two chunks that share four")
    parser.add_argument("--deepcache", type=Path, metavar="FOLDER")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="see AVATAR_MODELS")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--sound", type=Path, help="a WAV")
    return parser.parse_args()


if __name__ == "__main__":
    main()
