"""Runs the published LivePortrait beside ours with the same seeded weights; keeps its figures for the tests.

    scripts/bench parity/liveportrait --checkout PATH [--write] [--only networks runs steps]

PATH is a working tree of the original; the Python needs torch and what the original imports (PyYAML, OpenCV,
SciPy, pykalman, Rich, Tyro, imageio). On the CPU, float32.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(ROOT / "tests/avatar/parity"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.engines.liveportrait.engine import FILES  # noqa: E402
from avatar.engines.liveportrait.networks import Networks  # noqa: E402
from avatar.engines.liveportrait.sizes import Sizes  # noqa: E402
from avatar.engines.weights.manifest import weight_file  # noqa: E402
from liveportrait_cases import (  # noqa: E402
    FIGURES,
    NETWORKS,
    SIZES,
    STEP_SIZES,
    network_inputs,
    weights_of_network,
)
from published_liveportrait import open_original  # noqa: E402
from seeded import Array, figures, largest_error  # noqa: E402

TORCH_THREADS = 2
PARTS = ("networks", "runs", "steps")
PERCEPTRONS = "liveportrait.retargeting"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, required=True, metavar="PATH")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {FIGURES.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(TORCH_THREADS)
    torch.manual_seed(0)
    open_original(arguments.checkout)
    figures_by_name: dict[str, Array] = {}
    print(f"{'case':<40} {'largest error':>14} {'original s':>11} {'ours s':>8}")
    if "networks" in arguments.only:
        for name, sizes in SIZES.items():
            for network in NETWORKS:
                figures_by_name |= compare(name, sizes, network)
    if "runs" in arguments.only:
        figures_by_name |= compare_whole(SIZES["small"])
    if "steps" in arguments.only:
        figures_by_name |= compare_steps()
    if arguments.write:
        if len(arguments.only) < len(PARTS):
            with np.load(FIGURES) as before:
                figures_by_name = dict(before) | figures_by_name
        np.savez_compressed(FIGURES, **figures_by_name)
        print(f"{FIGURES}: {len(figures_by_name)} arrays, {FIGURES.stat().st_size / 1024:.0f} KiB")


def original_config(sizes: Sizes) -> dict[str, Any]:
    """The model parameters of the original's models.yaml, for `sizes`."""
    widths = {"block_expansion": sizes.channels, "max_features": sizes.most_channels}
    downs = {"num_down_blocks": sizes.halvings}
    volume = {"reshape_channel": sizes.volume_channels}
    return {
        "appearance_feature_extractor_params": {
            "image_channel": 3, **widths, **downs, **volume,
            "reshape_depth": sizes.volume_depth, "num_resblocks": sizes.volume_blocks,
        },
        "motion_extractor_params": {"num_kp": 21, "backbone": "convnextv2_tiny"},
        "warping_module_params": {
            "num_kp": 21, **widths, **downs, **volume, "estimate_occlusion_map": True,
            "dense_motion_params": {
                "block_expansion": sizes.motion_channels, "max_features": sizes.most_motion_channels,
                "num_blocks": sizes.motion_levels, "reshape_depth": sizes.volume_depth,
                "compress": sizes.motion_features,
            },
        },
        "spade_generator_params": {"upscale": 2, **widths, **downs},
        "stitching_retargeting_module_params": {
            "stitching": {"input_size": 126, "hidden_sizes": [128, 128, 64], "output_size": 65},
            "lip": {"input_size": 65, "hidden_sizes": [128, 128, 64], "output_size": 63},
            "eye": {"input_size": 66, "hidden_sizes": [256, 256, 128, 128, 64], "output_size": 63},
        },
    }  # fmt: skip


def original_network(network: str, sizes: Sizes) -> torch.nn.Module:
    """One of its networks with seeded weights, loaded strictly."""
    from src.modules.appearance_feature_extractor import AppearanceFeatureExtractor
    from src.modules.motion_extractor import MotionExtractor
    from src.modules.spade_generator import SPADEDecoder
    from src.modules.stitching_retargeting_network import StitchingRetargetingNetwork
    from src.modules.warping_network import WarpingNetwork

    config = original_config(sizes)
    perceptrons = config["stitching_retargeting_module_params"]
    kind, parameters = {
        "appearance": (AppearanceFeatureExtractor, config["appearance_feature_extractor_params"]),
        "motion": (MotionExtractor, config["motion_extractor_params"]),
        "warping": (WarpingNetwork, config["warping_module_params"]),
        "generator": (SPADEDecoder, config["spade_generator_params"]),
        "stitching": (StitchingRetargetingNetwork, perceptrons["stitching"]),
        "eyes": (StitchingRetargetingNetwork, perceptrons["eye"]),
        "lips": (StitchingRetargetingNetwork, perceptrons["lip"]),
    }[network]
    module: torch.nn.Module = kind(**parameters)
    fill(module, network)
    return module.eval()


@cache
def networks_with_seeds(sizes: Sizes) -> Networks:
    """Returns ours with the weights of the originals' networks; those of the published sizes take a while."""
    networks = Networks(sizes)
    for network in NETWORKS:
        fill(getattr(networks, network), network)
    return networks


def compare_whole(sizes: Sizes) -> dict[str, Array]:
    """The original's figures for whole runs with small networks."""
    from liveportrait_runs import compare_runs

    with tempfile.TemporaryDirectory() as folder:
        write_checkpoints(Path(folder), sizes)
        return compare_runs(Path(folder))


def compare_steps() -> dict[str, Array]:
    """The original's figures for all steps of runs with crops of the published size and its own mask."""
    from steps_liveportrait import Original, compare_all

    with tempfile.TemporaryDirectory() as folder:
        write_checkpoints(Path(folder), STEP_SIZES)
        return compare_all(Original(Path(folder)))


def write_checkpoints(folder: Path, sizes: Sizes) -> None:
    """The original's own, with seeded weights and in the published layout."""
    import yaml

    states: dict[str, Any] = {
        role: original_network(network, sizes).state_dict()
        for network, (role, part) in FILES.items()
        if part is None
    }
    states[PERCEPTRONS] = {
        part: {f"module.{key}": value for key, value in original_network(network, sizes).state_dict().items()}
        for network, (_, part) in FILES.items()
        if part is not None
    }
    (folder / "models.yaml").write_text(yaml.safe_dump({"model_params": original_config(sizes)}))
    for role, state in states.items():
        path = folder / weight_file(role).path
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)


def fill(module: torch.nn.Module, network: str) -> None:
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    values = weights_of_network(network, shapes)
    module.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in values.items()})


def compare(name: str, sizes: Sizes, network: str) -> dict[str, Array]:
    """The original's figures for one network, after printing how far ours is from it."""
    theirs = original_network(network, sizes)
    ours = getattr(Networks(sizes), network)
    fill(ours, network)
    inputs = [torch.from_numpy(array) for array in network_inputs(network, sizes)]
    with torch.no_grad():
        started = time.perf_counter()
        raw = (
            theirs(inputs[0], kp_driving=inputs[1], kp_source=inputs[2])
            if network == "warping"
            else theirs(*inputs)
        )
        between = time.perf_counter()
        mine = ours(*inputs)
        ended = time.perf_counter()
    figures_by_name: dict[str, Array] = {}
    if network == "motion":
        parts = {part: (getattr(mine, part), raw[part]) for part in sorted(raw)}
    else:
        parts = {"out": (mine, raw["out"] if network == "warping" else raw)}
    error = 0.0
    for part, (a, b) in parts.items():
        error = max(error, largest_error(a.numpy(), b.numpy()))
        figures_by_name[f"{name}.{network}.{part}"] = figures(b.numpy())
    print(f"{name + '.' + network:<40} {error:14.2e} {between - started:11.2f} {ended - between:8.2f}")
    keys = sorted(f"{key} {tuple(value.shape)}" for key, value in theirs.state_dict().items())
    if name == "published":
        figures_by_name[f"keys.{network}"] = np.frombuffer("\n".join(keys).encode(), np.uint8)  # type: ignore[assignment]
    return figures_by_name


if __name__ == "__main__":
    main()
