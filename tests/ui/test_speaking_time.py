"""The page and the server estimate alike how long a text takes to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_page import run_script

from studio.scenes.speaking_time import speaking_ms

SCENE_EDGES_MS = 800
"""`lead_in_ms` and `tail_ms` of a scene."""
TEXTS = (
    "Good morning, *everybody*. This is our new coffee machine.",
    "Press the green button [pause 500ms] and wait. It costs 2.50 euros, e.g. at Dr. Smith's, No. 5.",
    "Is it high water? Yes!",
    "Die Flut kommt zweimal am Tag",
)


def test_the_page_estimates_the_length_of_a_scene_as_the_server_does(
    built_page: None, tmp_path: Path
) -> None:
    seconds = run_script(Path(__file__).with_name("speaking_calls.ts"), tmp_path, *TEXTS, "", "[pause 2s]")
    expected = [(speaking_ms(text) + SCENE_EDGES_MS) / 1000 for text in TEXTS]
    assert seconds == [*(pytest.approx(one, abs=0.01) for one in expected), 0, 0]
