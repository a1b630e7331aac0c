"""Checkpoints with the published names load strictly; what is wrong with others is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import latentsync_cases as cases  # noqa: E402
from avatar.engines.latentsync.loading import Files, load_networks, load_unet, load_vae, load_whisper  # noqa: E402
from avatar.engines.latentsync.memory import Plan  # noqa: E402
from avatar.errors import InvalidInput  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from seeded import noise  # noqa: E402

F32 = torch.float32
ONE_OF_MOTION = "up_blocks.3.motion_modules.0.temporal_transformer.norm.bias"
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def unet_state() -> dict[str, Any]:
    return dict(cases.our_unet().state_dict())


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(a[key], b[key]) for key in b)


def test_the_file_of_a_training_run_loads_with_and_without_its_prefix(
    tmp_path: Path, unet_state: dict[str, Any]
) -> None:
    plain = save(tmp_path / "a.pt", {"global_step": 7, "state_dict": unet_state})
    parallel = {f"module.{key}": value for key, value in unet_state.items()}
    prefixed = save(tmp_path / "b.pt", {"state_dict": parallel})
    for path in (plain, prefixed):
        unet, motion = load_unet(path, F32, cases.SMALL)
        assert motion
        assert same(unet.state_dict(), unet_state)


def test_a_file_without_motion_modules_gives_a_network_without_and_says_so(
    tmp_path: Path, unet_state: dict[str, Any]
) -> None:
    still = {key: value for key, value in unet_state.items() if ".motion_modules." not in key}
    unet, motion = load_unet(save(tmp_path / "still.pt", {"state_dict": still}), F32, cases.SMALL)
    assert not motion
    latents, tokens = (torch.from_numpy(array) for array in cases.network_inputs(2, side=8))
    with torch.no_grad():
        assert torch.isfinite(unet(latents, torch.tensor(1), tokens, 2)).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"conv_in.weight": None}, "missing: conv_in.weight"),
        ({"conv_in.weight": torch.zeros(32, 9, 3, 3)}, "conv_in.weight is 32x9x3x3 instead of 32x13x3x3"),
        ({"surprise": torch.zeros(1)}, "unknown: surprise"),
        (
            {"up_blocks.3.motion_modules.0.temporal_transformer.norm.bias": None},
            "temporal_transformer.norm.bias",
        ),
    ],
)
def test_every_difference_of_a_checkpoint_is_named(
    tmp_path: Path, unet_state: dict[str, Any], change: dict[str, Any], named: str
) -> None:
    state = {key: value for key, value in (unet_state | change).items() if value is not None}
    with pytest.raises(InvalidInput, match=named.replace(".", r"\.")) as refused:
        load_unet(save(tmp_path / "wrong.pt", {"state_dict": state}), F32, cases.SMALL)
    assert refused.value.code == "weights.mismatch"


def test_positions_may_be_left_out_but_not_be_others(tmp_path: Path, unet_state: dict[str, Any]) -> None:
    without = {key: value for key, value in unet_state.items() if not key.endswith("pos_encoder.pe")}
    unet, motion = load_unet(save(tmp_path / "a.pt", without), F32, cases.SMALL)
    assert motion
    assert same(unet.state_dict(), unet_state)
    others = {
        key: value + 0.5 if key.endswith("pos_encoder.pe") else value for key, value in unet_state.items()
    }
    with pytest.raises(InvalidInput, match="positions"):
        load_unet(save(tmp_path / "b.pt", others), F32, cases.SMALL)


def test_of_whisper_only_the_encoder_is_read(tmp_path: Path) -> None:
    whisper = cases.our_whisper().state_dict()
    state = {f"encoder.{key}": value.half() for key, value in whisper.items()}
    state["decoder.token_embedding.weight"] = torch.zeros(4, 384)
    path = save(tmp_path / "tiny.pt", {"dims": {"n_mels": 80}, "model_state_dict": state})
    loaded = load_whisper(path).state_dict()
    assert torch.allclose(loaded["conv1.weight"], whisper["conv1.weight"], atol=1e-3)


def older(vae: dict[str, Any], names: dict[str, str], convolution: tuple[int, ...]) -> dict[str, Any]:
    """The state of an autoencoder whose attention has other names, or convolutions in place of matrices."""
    networks_by = {}
    for key, value in vae.items():
        if ".attentions." in key:
            for new, before in names.items():
                key = key.replace(f".{new}.", f".{before}.")
            if value.ndim == 2:
                value = value.reshape(*value.shape, *(1 for _ in convolution)).repeat(1, 1, *convolution)
        networks_by[key] = value.contiguous()
    return networks_by


@pytest.mark.parametrize("names", [OLD_NAMES, {}], ids=["older names", "today's names"])
@pytest.mark.parametrize("convolution", [(), (1, 1)], ids=["matrices", "convolutions"])
def test_the_autoencoder_loads_in_the_older_layouts_of_its_attention_and_gives_the_same(
    tmp_path: Path, names: dict[str, str], convolution: tuple[int, ...]
) -> None:
    vae = cases.our_vae()
    state = older(vae.state_dict(), names, convolution)
    query = state[f"decoder.mid_block.attentions.0.{'query' if names else 'to_q'}.weight"]
    assert query.shape == (64, 64, *convolution)
    save_file(state, str(tmp_path / "vae.safetensors"))
    loaded = load_vae(tmp_path / "vae.safetensors", **cases.SMALL_VAE)
    assert same(loaded.state_dict(), vae.state_dict())
    faces = torch.from_numpy(noise("faces", (1, 3, 32, 32)))
    with torch.no_grad():
        ours, theirs = (part.encode(faces).latent_dist.mean for part in (loaded.eval(), vae))
        assert torch.equal(ours, theirs)
        assert torch.equal(loaded.decode(ours).sample, vae.decode(theirs).sample)


def test_an_attention_of_wider_convolutions_is_refused(tmp_path: Path) -> None:
    state = older(cases.our_vae().state_dict(), OLD_NAMES, (3, 3))
    save_file(state, str(tmp_path / "vae.safetensors"))
    with pytest.raises(InvalidInput, match=r"to_q\.weight is 64x64x3x3 instead of 64x64"):
        load_vae(tmp_path / "vae.safetensors", **cases.SMALL_VAE)


def test_all_three_are_loaded_in_the_numbers_of_the_plan(tmp_path: Path, unet_state: dict[str, Any]) -> None:
    whisper = {f"encoder.{key}": value for key, value in cases.our_whisper().state_dict().items()}
    files = Files(
        unet=save(tmp_path / "unet.pt", {"state_dict": unet_state}),
        whisper=save(tmp_path / "tiny.pt", {"model_state_dict": whisper}),
        vae=save(tmp_path / "vae.pt", dict(cases.our_vae().state_dict())),
    )
    plan = Plan(torch.device("cpu"), torch.bfloat16, park=True)
    networks = load_networks(files, plan, cases.SMALL, **cases.SMALL_VAE)
    for network in (networks.unet, networks.whisper, networks.vae):
        assert {value.dtype for value in network.state_dict().values()} == {torch.bfloat16}
        assert not any(parameter.requires_grad for parameter in network.parameters())
