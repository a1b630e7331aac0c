"""The chain from a text to the video of a photo that says it, by LivePortrait and LatentSync on one card.

    scripts/bench parity/speed_chain [--seconds 10]

A scene goes through the worker's own door, from a text to the finished file, with random weights of the
published sizes: once with both engines on the card, and once in turn, as where the card has no room for both,
so that the first leaves it before the second comes. Each way is warmed by a short scene, which reads the
networks from disk. Prints frames per second of all of it (speech, both engines, encoding), the most VRAM, and
what lay on the card at the end. `--small` runs reduced networks on the processor, to see that it works.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("neural", "latentsync", "liveportrait", "parity", "measure")
sys.path[:0] = [
    str(ROOT / "avatar/src"),
    str(Path(__file__).parent),
    *(str(ROOT / "tests/avatar" / room) for room in ROOMS),
]

import torch  # noqa: E402
from avatar.engines.card_memory import find_card  # noqa: E402
from avatar.engines.card_mode import MOUTH, PORTRAIT, choose_mode, share_of  # noqa: E402
from avatar.engines.neural.holder import MIB, ModelHolder, card_budget  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.render import render_video  # noqa: E402
from avatar.spec import EngineName, RenderSpec  # noqa: E402
from race import device_for, race_parser, time_work  # noqa: E402

CHAIN: EngineName = "liveportrait+latentsync"
FPS = 25
SENTENCE, SENTENCE_S = "The weather will be fair today, and the sea is calm. ", 3.55
SIZE, SMALL_SIZE = (1280, 720), (256, 144)


def main() -> None:
    parser = race_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long is spoken, about")
    options = parser.parse_args()
    if options.small:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if (device := device_for(options.small)) is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_networks(folder / "models", small=options.small)
        size = SMALL_SIZE if options.small else SIZE
        both = ModelHolder(card_budget if device.type == "cuda" else lambda: None)
        for way, holder in (
            ("both on the card", both),
            ("one after the other", ModelHolder(no_room_for_both)),
        ):
            measure(way, holder, folder / way.replace(" ", "-"), size, options.seconds)
            holder.clear()


def no_room_for_both() -> int:
    """One MiB less than both need together in the mode that the card has room for."""
    mode = choose_mode(CHAIN, find_card())
    shares = [share_of(part, mode) for part in (PORTRAIT, MOUTH)]
    return (sum(share.working_mib + share.weights_mib for share in shares) - 1) * MIB


def measure(way: str, holder: ModelHolder, folder: Path, size: tuple[int, int], seconds: float) -> None:
    folder.mkdir()

    def render(script: str) -> int:
        spec = scene(folder, size, script)
        done = render_video(spec, folder / "out.mp4", Context(folder / "cache", holder=holder))
        full_card = [notice for notice in done.warnings if notice.code == "gpu.out_of_memory"]
        if full_card:
            raise RuntimeError(f"{way}: {full_card[0].message}")
        return done.frames

    render("Mama.")
    script = SENTENCE * max(1, round(seconds / SENTENCE_S))
    time_work(way, lambda: render(script), lambda: holder.peak_mib)
    print(f"  at the end on the card: {', '.join(holder.on_card) or 'nothing'}", flush=True)


def scene(folder: Path, size: tuple[int, int], script: str) -> RenderSpec:
    """A photo that says the script."""
    import cv2
    from clipmaker.person import photo

    path = folder / "person.png"
    cv2.imwrite(str(path), photo("astronaut"))
    agreed = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-31", "purpose": "measurement"}
    # Every frame is drawn by both: a pause that shows the first one's mouth costs less.
    drawn = {"engine": CHAIN, "pauses": "drawn"}
    face = {"kind": "photo", "image": {"path": str(path)}, "consent": agreed, **drawn}
    return RenderSpec.model_validate(
        {
            "canvas": {"width": size[0], "height": size[1], "fps": FPS},
            "scenes": [{"id": "one", "script": script, "face": face}],
        }
    )


def open_networks(folder: Path, *, small: bool) -> None:
    """Checkpoints on disk, from which the engines read random weights."""
    import small_checkpoints

    os.environ["AVATAR_MODELS"] = str(folder)
    if small:
        small_checkpoints.write_checkpoints(folder)
        small_checkpoints.as_if_published()
        return
    import liveportrait as parity
    from avatar.engines.latentsync.memory import Plan
    from avatar.engines.latentsync.shapes import UNetShape
    from avatar.engines.liveportrait.sizes import PUBLISHED
    from speed_latentsync import random_networks

    portrait = parity.networks_with_seeds(PUBLISHED)
    mouth = random_networks(UNetShape(), {}, Plan(torch.device("cpu"), torch.float32))
    small_checkpoints.save_checkpoints(folder, portrait, mouth.unet.half(), mouth.whisper, mouth.vae)


if __name__ == "__main__":
    main()
