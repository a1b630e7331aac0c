"""The low mode: what lies on the card in each stage, that it fits, and that no band of rows shows."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import latentsync_cases as cases  # noqa: E402
from avatar.engines.card_mode import MOUTH, SHARES  # noqa: E402
from avatar.engines.latentsync.clip import Clip, Settings  # noqa: E402
from avatar.engines.latentsync.memory import Plan, in_mode, low  # noqa: E402
from avatar.engines.latentsync.vae import FaceCoder  # noqa: E402
from synthetic_speaker import speaker  # noqa: E402

sys.path.append(str(Path(__file__).parents[3] / "bench/parity"))

MIB = 1 << 20
META = Plan(torch.device("meta"), torch.float16)
NEAR = 1e-3
"""What float32 leaves of random networks, of the root mean square; usual tiles are at 0.4 and more."""


@pytest.fixture(scope="module")
def vae() -> Any:
    return cases.our_vae()


def face() -> Any:
    """A drawn face of 64 x 64 pixels in -1..1."""
    pixels = speaker(0)[44:108, 64:128].copy()
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def row_jumps(apart: Any) -> np.ndarray:
    """Returns the change of a difference of pictures from each row to the next."""
    return apart.mean(dim=(0, 1)).diff(dim=0).abs().mean(dim=1).numpy()


@pytest.mark.parametrize("bands", [2, 3, 8, 64])
def test_bands_of_rows_code_a_face_as_the_whole_does(vae: Any, bands: int) -> None:
    whole, banded = FaceCoder(vae), FaceCoder(vae, at_once=1, bands=bands)
    faces = torch.cat([face(), -face()])
    latents, ours = whole.encode(faces), banded.encode(faces)
    assert (ours - latents).abs().max() < NEAR * latents.square().mean().sqrt()
    decoded, decoded_in_bands = whole.decode(latents), banded.decode(latents)
    assert (decoded_in_bands - decoded).abs().max() < NEAR * decoded.square().mean().sqrt()


def test_no_seam_lies_where_bands_meet_and_the_usual_tiles_have_one(vae: Any) -> None:
    """Against the whole. Tiles that are coded one by one show what a seam would look like here."""
    coder = FaceCoder(vae)
    latents = coder.encode(face())
    whole = coder.decode(latents)
    spread = float(whole.std())
    banded = row_jumps(FaceCoder(vae, bands=2).decode(latents) - whole)
    assert banded.max() < NEAR * spread
    halves = torch.cat([coder.decode(part) for part in latents.split(4, dim=2)], dim=2)
    tiled = row_jumps(halves - whole)
    assert tiled[31] > 1.5 * np.median(tiled)
    assert tiled[31] > 100 * banded.max()
    assert (halves - whole).square().mean().sqrt() > 0.1 * spread


def test_feed_forward_in_slices_gives_the_same(networks: Any) -> None:
    latents, tokens = (torch.from_numpy(array) for array in cases.network_inputs(4, side=8))
    try:
        with torch.no_grad():
            networks.unet.slice_feed_forward(1)
            whole = networks.unet(latents, torch.tensor(1), tokens, 4)
            networks.unet.slice_feed_forward(3)
            sliced = networks.unet(latents, torch.tensor(1), tokens, 4)
    finally:
        networks.unet.slice_feed_forward(1)
    assert (sliced - whole).abs().max() < 1e-5


class Values:
    """Returns the bytes of a weight, in main memory or on the card."""

    def to(self, device: Any) -> Values:
        assert str(device) == "cpu:0", "nothing is carried back from the card"
        return Values()


class Weight:
    """All weights of a network as one, which says where its values are."""

    def __init__(self, placed: Placed) -> None:
        self._placed, self._home = placed, Values()
        self._values = self._home

    @property
    def data(self) -> Values:
        return self._values

    @data.setter
    def data(self, values: Values) -> None:
        self._values = values
        self._placed.lie(on_card=values is not self._home)


class Placed:
    """A network that notes where it lies, and what lies there with it whenever it is used."""

    def __init__(self, name: str, network: Any, here: dict[str, int], seen: list[tuple[str, int]]) -> None:
        self._name, self._network, self._here, self._seen = name, network, here, seen
        self._bytes = sum(value.nbytes for value in network.state_dict().values())
        self._weight = Weight(self)
        self.moves = 0

    def parameters(self) -> list[Weight]:
        return [self._weight]

    def buffers(self) -> list[Weight]:
        return []

    def lie(self, *, on_card: bool) -> None:
        if on_card:
            self.moves += 1
            self._here[self._name] = self._bytes
        else:
            self._here.pop(self._name)

    def __getattr__(self, name: str) -> Any:
        if name in ("encode", "decode", "encoder", "decoder", "forward_full"):
            assert self._name in self._here, f"the {self._name} is used where it is parked"
            self._seen.append((self._name, sum(self._here.values())))
        return getattr(self._network, name)


def test_one_network_at_a_time_lies_on_the_card(networks: Any) -> None:
    from test_clip import frame_inputs

    here: dict[str, int] = {}
    seen: list[tuple[str, int]] = []
    unet, vae = Placed("unet", networks.unet, here, seen), Placed("vae", networks.vae, here, seen)
    plan = low(Plan(torch.device("cpu", 0), torch.float32))
    settings = Settings(steps=1, side_px=64, length=3, overlap=1)
    clip = Clip(replace(networks, unet=unet, vae=vae), plan, settings)
    assert len(list(clip.draw(frame_inputs(5), 5))) == 5
    most = {name: max(size for used, size in seen if used == name) for name in ("unet", "vae")}
    assert most == {"unet": unet._bytes, "vae": vae._bytes}
    assert here == {}, "all are parked in the end"
    assert (vae.moves, unet.moves) == (4, 2), "of two chunks: to encode and to decode, and to denoise"


def test_a_parked_network_that_finds_no_room_on_the_card_stays_whole(networks: Any) -> None:
    from test_clip import frame_inputs

    held = [(weights, weights.data_ptr()) for weights in networks.vae.parameters()]
    clip = Clip(networks, low(Plan(torch.device("cpu"), torch.float32)), Settings(steps=1, side_px=64))
    clip._plan = replace(clip._plan, device=torch.device("cuda", 99))
    with pytest.raises((RuntimeError, AssertionError)):
        next(clip.draw(frame_inputs(5), 5))
    assert all(weights.data_ptr() == place for weights, place in held)


@pytest.fixture(scope="module")
def networks_of_published_size() -> Any:
    """Networks of the published size in fp16, without numbers."""
    import budget_latentsync as budget

    return budget.networks_of_published_size(META)


def test_the_low_mode_fits_beside_a_speech_service_of_4_gib_on_a_card_of_8(
    networks_of_published_size: Any,
) -> None:
    """By the sizes of all tensors of the published networks in fp16: computed, not measured on a card."""
    import budget_latentsync as budget

    stages = budget.stages(low(META), networks_of_published_size)
    room = budget.CARD_MIB - budget.SPEECH_MIB - budget.CONTEXT_MIB
    assert max(stages.values()) / MIB < room
    assert max(stages, key=lambda stage: stages[stage]) == "denoise"
    assert stages["denoise"] / MIB > 2418, "its weights alone"


@pytest.mark.parametrize(("mode", "spare"), [("low", 1.1), ("middle", 1.5), ("full", 2.0)])
def test_a_mode_is_taken_where_its_tensors_fit_with_room_to_spare(
    networks_of_published_size: Any, mode: Any, spare: float
) -> None:
    """Computed as well. What the holder makes room for is no less than what the tensors take."""
    import budget_latentsync as budget

    share, most = (
        SHARES[MOUTH][mode],
        max(budget.stages(in_mode(mode, META), networks_of_published_size).values()) / MIB,
    )
    assert most * spare < share.from_mib
    assert most < share.weights_mib + share.working_mib < share.from_mib
