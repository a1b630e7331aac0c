"""A card that runs full: tried again only where there is a mode that takes less."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_speaker import Clips

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines import card  # noqa: E402
from avatar.engines.card_memory import Card  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks  # noqa: E402
from test_engine import job  # noqa: E402


@pytest.mark.parametrize(("free_mib", "tries"), [(4000, ["auto"]), (7000, ["auto", "low"])])
def test_a_full_card_is_tried_again_only_with_less_than_before(
    clips: Clips, monkeypatch: pytest.MonkeyPatch, free_mib: int, tries: list[str]
) -> None:
    monkeypatch.setattr(card, "find_card", lambda: Card("A card", 86, total_mib=8192, free_mib=free_mib))
    monkeypatch.setattr(card, "hold_to_lease", lambda _: None)
    tried = list[str]()

    def full(options: MouthOptions) -> Any:
        tried.append(options.vram)
        raise torch.OutOfMemoryError("Tried to allocate 64.00 MiB.")

    spec, context = job(clips.video(4), clips.sound(0.16)), Context(cache=clips.folder / "cache")
    with pytest.raises(Unavailable, match=r"gpu\.out_of_memory.*needed 64 MiB more.*a larger one"):
        lipsync_by_networks(spec, clips.folder / "out.mp4", context, MouthOptions(), full)
    assert tried == tries
