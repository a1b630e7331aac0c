"""Makes a page of blind pairs: each sentence by a presenter's voice and by espeak-ng, in an order of chance.

    scripts/bench voice_pairs FOLDER [--pairs 20] [--seed 1]
    scripts/bench voice_pairs FOLDER --score votes.json …

Open FOLDER/index.html, listen, choose, save `votes.json`. Names of files tell nothing, both sounds of a pair
are equally loud, and which is which stands in FOLDER/answers.json alone, which the page does not read.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import random
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
import numpy.typing as npt
from avatar.spec import EspeakVoice, FliteVoice, Scene, Voice
from avatar.speech import speak

from bench.voices import SENTENCES

OURS: dict[str, Voice] = {
    "nova": FliteVoice(pace=0.94, pitch=-0.8),
    "vera": FliteVoice(pitch=-2.2),
    "milo": FliteVoice(voice="rms"),
}
THEIRS: dict[str, Voice] = {
    "nova": EspeakVoice(),
    "vera": EspeakVoice(),
    "milo": EspeakVoice(voice="en-us", variant="m3"),
}
"""Beside each presenter, espeak-ng's voice of the same sex."""
LOUDNESS = 0.08
"""Root mean square of what is above the pauses, full scale = 1."""
PEAK = 0.95
PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Which voice would you rather listen to?</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
fieldset {{ border: 1px solid #ccc; border-radius: 8px; margin: 1rem 0; }}
label {{ margin-right: 1.2rem; }}
audio {{ width: 100%; }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }}
</style>
<h1>Which voice would you rather listen to?</h1>
<p>{count} sentences, each by two voices in an order of chance. Listen to both, with headphones if you
can, and choose. Nothing leaves this page: at the end, save your choices as a file.</p>
<form>{pairs}<button type="submit">Save my choices</button> <output></output></form>
<script>
document.querySelector("form").addEventListener("submit", (event) => {{
  event.preventDefault();
  const votes = Object.fromEntries(new FormData(event.target));
  const missing = {count} - Object.keys(votes).length;
  document.querySelector("output").textContent = missing ? `${{missing}} pairs are open` : "";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify({{ seed: {seed}, votes }})]));
  link.download = "votes.json";
  link.click();
}});
</script>
</html>
"""
PAIR = """
<fieldset><legend>{number}</legend><p>{sentence}</p>
<div class="pair"><div>A <audio controls preload="none" src="{number:02}-a.wav"></audio></div>
<div>B <audio controls preload="none" src="{number:02}-b.wav"></audio></div></div>
<label><input type="radio" name="{number}" value="a"> A</label>
<label><input type="radio" name="{number}" value="b"> B</label>
<label><input type="radio" name="{number}" value="none"> no difference</label></fieldset>
"""


def level(samples: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """Returns the sound at `LOUDNESS`, measured in steps of 50 ms without its pauses, or at its `PEAK`."""
    step = rate_hz // 20
    steps = samples[: len(samples) // step * step].reshape(-1, step)
    powers = np.mean(steps**2, axis=1)
    loudness = math.sqrt(float(np.mean(powers[powers > powers.max() / 100])))
    return samples * min(LOUDNESS / loudness, PEAK / float(np.max(np.abs(samples))))


def write_sound(sentence: str, voice: Voice, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(id="s", script=sentence, voice=voice, lead_in_ms=200, tail_ms=200)
        track = speak(scene, Path(folder), lambda ref: Path(ref.path or ""))
        with wave.open(str(track.wav)) as source:
            rate_hz = source.getframerate()
            samples = np.frombuffer(source.readframes(source.getnframes()), dtype="<i2") / 32768
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate_hz)
        target.writeframes(np.round(level(samples, rate_hz) * 32767).astype("<i2").tobytes())


def write_page(folder: Path, sentences: Sequence[str], seed: int) -> None:
    """Writes the page, its sounds, and the answers: by number, the presenter and which sound is ours."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)  # noqa: S311 - an order that can be repeated
    presenters = [list(OURS)[number % len(OURS)] for number in range(len(sentences))]
    chance.shuffle(presenters)
    answers: dict[str, Any] = {}
    pairs = []
    for number, (sentence, presenter) in enumerate(zip(sentences, presenters, strict=True), 1):
        ours = chance.choice("ab")
        for letter in "ab":
            voices = OURS if letter == ours else THEIRS
            write_sound(sentence, voices[presenter], folder / f"{number:02}-{letter}.wav")
        answers[str(number)] = {"presenter": presenter, "ours": ours}
        pairs.append(PAIR.format(number=number, sentence=html.escape(sentence)))
    page = PAGE.format(count=len(pairs), pairs="".join(pairs), seed=seed)
    (folder / "index.html").write_text(page, encoding="utf-8")
    content = json.dumps({"seed": seed, "pairs": answers}, indent=1)
    (folder / "answers.json").write_text(content + "\n", encoding="utf-8")


def score(folder: Path, files: Sequence[Path]) -> dict[str, int]:
    """Returns how often ours, espeak-ng's or none was chosen. Raises ValueError for votes of another page."""
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    counts = {"ours": 0, "espeak-ng": 0, "none": 0}
    for file in files:
        votes = json.loads(file.read_text(encoding="utf-8"))
        if votes["seed"] != answers["seed"]:
            raise ValueError(f"{file} are votes on the page of seed {votes['seed']}")
        for number, choice in votes["votes"].items():
            if choice == "none":
                counts["none"] += 1
            else:
                counts["ours" if choice == answers["pairs"][number]["ours"] else "espeak-ng"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--score", type=Path, nargs="+", metavar="VOTES", help="count votes on the page")
    arguments = parser.parse_args()
    if arguments.score:
        for name, count in score(arguments.folder, arguments.score).items():
            print(f"{name:10} {count}")
        return
    sentences = SENTENCES.read_text().splitlines()
    chance = random.Random(arguments.seed)  # noqa: S311 - as above
    chosen = chance.sample(sentences, min(arguments.pairs, len(sentences)))
    write_page(arguments.folder, chosen, arguments.seed)
    print(f"{arguments.folder / 'index.html'}: {len(chosen)} pairs; answers.json says which is which")


if __name__ == "__main__":
    main()
