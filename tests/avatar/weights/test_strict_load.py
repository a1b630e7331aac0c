"""A checkpoint goes into a network whole, or every difference is named."""

from pathlib import Path
from typing import Any

import pytest
from avatar.engines.weights import read_checkpoint
from avatar.engines.weights import strict_load as load_tensors
from avatar.errors import InvalidInput

from .conftest import running_file

pytestmark = [pytest.mark.torch, pytest.mark.smoke]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture
def network(torch: Any) -> Any:
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 2))
    network[1].register_buffer("pe", torch.arange(5.0))
    return network


def strict_load(module: Any, path: Path, part: str | None = None, **more: Any) -> tuple[str, ...]:
    return load_tensors(module, read_checkpoint(path, part=part), path.name, **more)


def fresh(torch: Any, network: Any) -> Any:
    import copy

    other = copy.deepcopy(network)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    return other


def same(torch: Any, one: Any, other: Any) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "layout", ["plain", "state_dict", "model_state_dict", "module.", "older file", "safetensors"]
)
def test_every_layout_is_understood(torch: Any, network: Any, tmp_path: Path, layout: str) -> None:
    state, path = network.state_dict(), tmp_path / "a.pt"
    if layout in ("state_dict", "model_state_dict"):
        torch.save({"global_step": 3, layout: state}, path)
    elif layout == "module.":
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    elif layout == "safetensors":
        from safetensors.torch import save_file

        path = tmp_path / "a.safetensors"
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=layout == "plain")
    other = fresh(torch, network)
    strict_load(other, path)
    assert same(torch, network, other)


def test_one_network_of_several_in_a_file(torch: Any, network: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    parts = {
        "eye": {f"module.{key}": value for key, value in network.state_dict().items()},
        "lip": {"x": torch.ones(1)},
    }
    torch.save(parts, path)
    other = fresh(torch, network)
    strict_load(other, path, part="eye")
    assert same(torch, network, other)
    with pytest.raises(InvalidInput, match=r"no part shoulder; it has eye, lip"):
        read_checkpoint(path, part="shoulder")


def test_every_difference_is_named_and_nothing_is_loaded(torch: Any, network: Any, tmp_path: Path) -> None:
    state = dict(network.state_dict())
    del state["2.bias"]
    state["more"] = torch.ones(2)
    state["0.weight"] = torch.ones(8, 9, 3, 3)
    state["1.num_batches_tracked"] = torch.tensor(1.0)
    path = tmp_path / "wrong.pt"
    torch.save(state, path)
    other = fresh(torch, network)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(InvalidInput) as refused:
        strict_load(other, path)
    assert refused.value.code == "weights.mismatch"
    for message in (
        "wrong.pt",
        "1 missing: 2.bias",
        "1 unknown: more",
        "0.weight is 8x9x3x3 instead of 8x4x3x3",
        "1.num_batches_tracked is scalar instead of integer scalar",
    ):
        assert message in refused.value.message
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())


def test_a_long_list_is_cut_in_the_sentence_and_whole_in_the_details(
    torch: Any, network: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.pt"
    torch.save({**network.state_dict(), **{f"more{n}": torch.ones(1) for n in range(500)}}, path)
    with pytest.raises(InvalidInput, match=r"500 unknown: more0, .*, …") as refused:
        strict_load(network, path)
    assert len(refused.value.message) < 400
    assert refused.value.details == tuple(f"unknown: more{n}" for n in range(500))
    state = {key: value for key, value in network.state_dict().items() if not key.startswith("1.")}
    torch.save({**state, "0.weight": torch.ones(3)}, path)
    with pytest.raises(InvalidInput) as refused:
        strict_load(network, path)
    assert "of another shape or kind: 0.weight is 3 instead of 8x4x3x3" in refused.value.details
    absent = {f"missing: {key}" for key in network.state_dict() if key.startswith("1.")}
    assert absent < set(refused.value.details)


def test_constants_may_be_absent_but_not_different(torch: Any, network: Any, tmp_path: Path) -> None:
    state, path = dict(network.state_dict()), tmp_path / "a.pt"
    del state["1.pe"]
    torch.save(state, path)
    absent = strict_load(network, path, constants=lambda key: key.endswith(".pe"))
    assert absent == ("1.pe",)
    torch.save({**state, "1.pe": torch.ones(5)}, path)
    with pytest.raises(InvalidInput, match=r"1 of another value: 1\.pe"):
        strict_load(network, path, constants=lambda key: key.endswith(".pe"))


def test_a_group_may_be_absent_as_a_whole_only(torch: Any, network: Any, tmp_path: Path) -> None:
    state, path = dict(network.state_dict()), tmp_path / "a.pt"
    del state["2.bias"], state["2.weight"]
    torch.save(state, path)
    assert strict_load(network, path, optional=[lambda key: key[0] == "2"]) == ("2.weight", "2.bias")
    torch.save({**state, "2.bias": torch.zeros(2)}, path)
    with pytest.raises(InvalidInput, match=r"1 missing: 2\.weight"):
        strict_load(network, path, optional=[lambda key: key[0] == "2"])


def test_a_network_without_memory_takes_the_files_tensors(torch: Any, network: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(network.state_dict(), path)
    virtual = fresh(torch, network).to("meta")
    strict_load(virtual, path, dtype=torch.float16)
    assert virtual[0].weight.dtype == torch.float16 and virtual[1].num_batches_tracked.dtype == torch.int64
    assert torch.allclose(virtual[0].weight.float(), network[0].weight, atol=1e-3)


def test_half_precision_files_fill_a_full_precision_network(torch: Any, network: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(
        {
            key: value.half() if value.is_floating_point() else value
            for key, value in network.state_dict().items()
        },
        path,
    )
    other = fresh(torch, network)
    strict_load(other, path)
    assert other[0].weight.dtype == torch.float32
    assert torch.allclose(other[0].weight, network[0].weight, atol=1e-3)


def test_no_program_runs(torch: Any, network: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        strict_load(network, running_file(tmp_path / "a.pt"))
    assert refused.value.code == "weights.unsafe"


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_cut_file_is_told(torch: Any, network: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save(network.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InvalidInput) as refused:
        strict_load(network, path)
    assert refused.value.code == "weights.unreadable"


def test_something_else_than_a_state_dict_is_told(torch: Any, network: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"state_dict": {"a": 1}}, path)
    with pytest.raises(InvalidInput, match="a are no tensors"):
        strict_load(network, path)
    torch.save([1, 2], path)
    with pytest.raises(InvalidInput, match="no state dict, but list"):
        strict_load(network, path)
