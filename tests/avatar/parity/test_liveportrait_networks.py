"""Our networks against figures of the published ones, which `bench/parity/liveportrait.py --write` keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.errors import InvalidInput, Unavailable
from liveportrait_cases import FIGURES, NETWORKS, SIZES, SMALL, network_inputs, weights_of_network
from seeded import Array, figures, largest_error

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.liveportrait.engine import FILES, load_networks, require_files  # noqa: E402
from avatar.engines.liveportrait.networks import Networks  # noqa: E402
from avatar.engines.liveportrait.sizes import Sizes  # noqa: E402
from avatar.engines.weights.manifest import weight_file  # noqa: E402

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def theirs() -> dict[str, Array]:
    with np.load(FIGURES) as file:
        return dict(file)


def networks_of_seed(sizes: Sizes) -> Networks:
    networks = Networks(sizes)
    for network in NETWORKS:
        module = getattr(networks, network)
        shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        values = weights_of_network(network, shapes)
        module.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in values.items()})
    return networks


@pytest.fixture(
    scope="module",
    params=[pytest.param(size, marks=[pytest.mark.smoke] if size == "small" else []) for size in SIZES],
)
def size_and_networks(request: pytest.FixtureRequest) -> tuple[str, Networks]:
    torch.set_num_threads(2)
    return request.param, networks_of_seed(SIZES[request.param])


def results(networks: Networks, network: str) -> dict[str, Array]:
    inputs = [torch.from_numpy(array) for array in network_inputs(network, networks.sizes)]
    with torch.inference_mode():
        result = getattr(networks, network)(*inputs)
    if network != "motion":
        return {"out": result.numpy()}
    return {name: getattr(result, name).numpy() for name in type(result).__dataclass_fields__}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_gives_what_the_published_one_gives(
    size_and_networks: tuple[str, Networks], theirs: dict[str, Array], network: str
) -> None:
    size, networks = size_and_networks
    file = {key for key in theirs if key.startswith(f"{size}.{network}.")}
    ours = results(networks, network)
    assert file == {f"{size}.{network}.{part}" for part in ours}
    for part, result in ours.items():
        assert largest_error(figures(result), theirs[f"{size}.{network}.{part}"]) <= TOLERANCE, part


@pytest.mark.parametrize("network", NETWORKS)
def test_names_and_shapes_are_those_of_the_published_checkpoints(
    theirs: dict[str, Array], network: str
) -> None:
    ours = getattr(Networks(), network).state_dict()
    published = bytes(theirs[f"keys.{network}"]).decode().splitlines()
    assert sorted(f"{key} {tuple(value.shape)}" for key, value in ours.items()) == published


def test_settled_networks_give_the_same(theirs: dict[str, Array]) -> None:
    networks = networks_of_seed(SMALL).prepare_inference(torch.device("cpu"), torch.float32)
    for network in NETWORKS:
        for part, result in results(networks, network).items():
            assert largest_error(figures(result), theirs[f"small.{network}.{part}"]) <= TOLERANCE, network


@pytest.fixture
def weights_in_published_layout(tmp_path: Path) -> Path:
    """Checkpoints as they are published: two folders, three networks in one file, names of a parallel run."""
    networks = networks_of_seed(SMALL)
    whole: dict[str, dict[str, Any]] = {}
    for folder in ("base_models", "retargeting_models"):
        (tmp_path / "liveportrait" / folder).mkdir(parents=True)
    for attribute, (role, part) in FILES.items():
        state = dict(getattr(networks, attribute).state_dict())
        if part is None:
            torch.save(state, tmp_path / weight_file(role).path)
        else:
            whole[part] = {f"module.{key}": value for key, value in state.items()}
    torch.save(whole, tmp_path / weight_file("liveportrait.retargeting").path)
    return tmp_path


def test_checkpoints_in_the_published_layout_load(weights_in_published_layout: Path) -> None:
    loaded, expected = (
        load_networks(require_files(weights_in_published_layout), SMALL),
        networks_of_seed(SMALL),
    )
    for key, value in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_a_missing_file_is_named(weights_in_published_layout: Path) -> None:
    (weights_in_published_layout / "liveportrait" / "base_models" / "warping_module.pth").unlink()
    with pytest.raises(Unavailable, match=r"weights\.missing: liveportrait needs warping_module\.pth"):
        require_files(weights_in_published_layout)


def test_another_networks_file_is_refused_by_name(weights_in_published_layout: Path) -> None:
    base = weights_in_published_layout / "liveportrait" / "base_models"
    (base / "spade_generator.pth").write_bytes((base / "motion_extractor.pth").read_bytes())
    with pytest.raises(InvalidInput, match=r"weights\.mismatch.*spade_generator\.pth.*missing: .*fc\.weight"):
        load_networks(require_files(weights_in_published_layout), SMALL)
