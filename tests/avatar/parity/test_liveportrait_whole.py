"""Whole runs of ours against the original's figures, which `bench/parity/liveportrait.py --write` keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from liveportrait_cases import FIGURES, NETWORKS, SMALL, weights_of_network
from seeded import Array, figures, largest_error

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import liveportrait_whole as whole  # noqa: E402
from avatar.engines.liveportrait.animator import Animator  # noqa: E402
from avatar.engines.liveportrait.networks import Networks  # noqa: E402
from liveportrait_levels import assert_levels  # noqa: E402

MOTION, DRAWN = 1e-4, 3e-4
LAID_BACK, MOST_LEVELS = 1e-3, 2


@pytest.fixture(scope="module")
def theirs() -> dict[str, Array]:
    with np.load(FIGURES) as file:
        return dict(file)


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.set_num_threads(2)
    small_networks: Any = Networks(SMALL)
    for network in NETWORKS:
        module = getattr(small_networks, network)
        shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        values = weights_of_network(network, shapes)
        module.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in values.items()})
    return small_networks


LONG = ("video_absolute", "video_pictured_absolute", "still_lip")
MARKS = {"still": [pytest.mark.smoke], **{name: [pytest.mark.slow] for name in LONG}}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, [])) for name in whole.CASES],
)
def test_a_whole_run_gives_what_the_original_gives(
    networks: Networks, theirs: dict[str, Array], name: str
) -> None:
    case = whole.CASES[name]
    animator = Animator(networks, torch.device("cpu"), torch.float32, strength=case.strength)
    result = whole.ours(case, animator, *(theirs[f"whole.{name}.{ways}"] for ways in ("matrices", "backs")))
    assert largest_error(result.keypoints, theirs[f"whole.{name}.keypoints"]) <= MOTION
    for index in range(case.frames):
        drawn = figures(result.rendered[index])
        assert largest_error(drawn, theirs[f"whole.{name}.made.{index}"]) <= DRAWN, index
        laid = theirs[f"whole.{name}.laid.{index}"]
        assert_levels(result.laid[index], laid, LAID_BACK, most=MOST_LEVELS)


@pytest.mark.parametrize("name", ["still", "video"])
def test_the_crop_is_where_the_original_has_it(theirs: dict[str, Array], name: str) -> None:
    published = theirs[f"whole.{name}.matrices"]
    corners = np.array([[0, 0, 1], [whole.WIDTH, 0, 1], [whole.WIDTH, whole.HEIGHT, 1]], np.float64)
    apart = (whole.crop_matrices(whole.CASES[name]) - published) @ corners.T
    assert np.abs(apart).max() < 5e-3, "pixels of the crop"


def test_the_figures_are_small() -> None:
    assert Path(FIGURES).stat().st_size < 200 << 10
