"""The page of blind pairs: equally loud sounds, no answer in the page, votes counted by the answers."""

from __future__ import annotations

import json
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def pairs(*arguments: object) -> str:
    command = [ROOT / "scripts" / "bench", "voice_pairs", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loudness(path: Path) -> float:
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2") / 32768
        step = sound.getframerate() // 20
    powers = np.mean(samples[: len(samples) // step * step].reshape(-1, step) ** 2, axis=1)
    return float(np.sqrt(np.mean(powers[powers > powers.max() / 100])))


def test_a_page_hides_what_it_asks_and_votes_are_counted(tmp_path: Path) -> None:
    pairs(tmp_path, "--pairs", 3, "--seed", 7)
    answers = json.loads((tmp_path / "answers.json").read_text())
    page = (tmp_path / "index.html").read_text()
    assert len(answers["pairs"]) == 3 and page.count("<audio") == 6
    assert not any(word in page for word in ("espeak", "flite", "nova", "milo", "vera", "answers"))
    for number in (1, 2, 3):
        a, b = (loudness(tmp_path / f"{number:02}-{letter}.wav") for letter in "ab")
        assert a == pytest.approx(b, rel=0.12) and 0.05 < a < 0.1
    ours = {number: one["ours"] for number, one in answers["pairs"].items()}
    votes = {"1": ours["1"], "2": "a" if ours["2"] == "b" else "b", "3": "none"}
    file = tmp_path / "votes.json"
    file.write_text(json.dumps({"seed": 7, "votes": votes}))
    counts = dict(line.split() for line in pairs(tmp_path, "--score", file, file).splitlines())
    assert counts == {"ours": "2", "espeak-ng": "2", "none": "2"}
    file.write_text(json.dumps({"seed": 8, "votes": votes}))
    with pytest.raises(subprocess.CalledProcessError):
        pairs(tmp_path, "--score", file)
