"""Trains low-rank updates of the sentence model on the samples of bench/nlu_evaluation/encoder_samples.py.

Called by `scripts/train_encoder` in the PyTorch environment. One net finds the intent (from the mean of its
last states) and, the intent given, the tag of each token. Low-rank updates after Hu et al. 2021 (LoRA), AdamW
(Loshchilov, Hutter 2019) with a linear fall of the rate, label smoothing (Szegedy et al. 2016).
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS = 4
RANK = 24
EPOCHS = 8
BATCH = 32
RATE = 1e-3
WARM_UP = 200
SCALE = 2.0
DROPOUT = 0.1
SMOOTHING = 0.05
TAG_WEIGHT = 3.0
"""How much the loss of the tags counts beside that of the intent, which is learned sooner."""
WIDTH, HEADS, INNER = 384, 12, 256
NO_TAG = -100


class Dense(nn.Module):
    """A layer whose published matrix stays, with a trained bias and the product of two small matrices."""

    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.register_buffer("weight", weights[f"{name}.weight"], persistent=False)
        rows, columns = self.weight.shape
        self.bias = nn.Parameter(weights[f"{name}.bias"].clone())
        self.down = nn.Parameter(torch.randn(RANK, columns) / math.sqrt(columns))
        self.up = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.weight, self.bias) + SCALE * (states @ self.down.T) @ self.up.T


class Norm(nn.Module):
    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights[f"{name}.weight"].clone())
        self.bias = nn.Parameter(weights[f"{name}.bias"].clone())

    def forward(self, states: Tensor) -> Tensor:
        return functional.layer_norm(states, (WIDTH,), self.weight, self.bias, 1e-12)


class Layer(nn.Module):
    """One layer of BERT; `parts` are its trained modules by the published names."""

    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        dense = ("attention.self.query", "attention.self.key", "attention.self.value",
                 "attention.output.dense", "intermediate.dense", "output.dense")  # fmt: skip
        norms = ("attention.output.LayerNorm", "output.LayerNorm")
        self.parts: dict[str, nn.Module] = {
            **{part: Dense(weights, f"{name}.{part}") for part in dense},
            **{part: Norm(weights, f"{name}.{part}") for part in norms},
        }
        self.modules_of = nn.ModuleList(self.parts.values())

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        texts, pieces, _ = states.shape
        query, key, value = (
            self.parts[f"attention.self.{part}"](states).view(texts, pieces, HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = self.parts["attention.output.dense"](mixed.transpose(1, 2).reshape(texts, pieces, WIDTH))
        states = self.parts["attention.output.LayerNorm"](states + self._dropped(mixed))
        inner = self.parts["output.dense"](functional.gelu(self.parts["intermediate.dense"](states)))
        normed: Tensor = self.parts["output.LayerNorm"](states + self._dropped(inner))
        return normed

    def _dropped(self, states: Tensor) -> Tensor:
        return functional.dropout(states, DROPOUT, self.training)


class Net(nn.Module):
    def __init__(self, weights: Mapping[str, Tensor], marks: int, intents: int, tags: int) -> None:
        super().__init__()
        self.weights = weights
        self.marks = nn.Parameter(torch.zeros(marks, WIDTH))
        self.layers = nn.ModuleList(Layer(weights, f"encoder.layer.{place}") for place in range(LAYERS))
        self.intents = nn.Linear(WIDTH, intents)
        self.inner = nn.Linear(WIDTH, INNER)
        self.inner_scales = nn.Parameter(torch.zeros(intents, INNER))
        self.inner_intents = nn.Embedding(intents, INNER)
        self.tags = nn.Linear(INNER, tags)

    def forward(self, pieces: Tensor, marks: Tensor, mask: Tensor, intents: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores of the intents (texts, intents) and of the tags (texts, pieces, tags)."""
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        places = self.weights["embeddings.position_embeddings.weight"][: pieces.shape[1]]
        words = self.weights["embeddings.word_embeddings.weight"][pieces]
        states = functional.layer_norm(
            words + places + kind + self.marks[marks],
            (WIDTH,),
            self.weights["embeddings.LayerNorm.weight"],
            self.weights["embeddings.LayerNorm.bias"],
            1e-12,
        )
        bias = ((1 - mask) * -1e9)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, bias)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        inner = self.inner(functional.dropout(states, DROPOUT, self.training))
        inner = inner * (1 + self.inner_scales[intents][:, None]) + self.inner_intents(intents)[:, None]
        inner = functional.gelu(inner)
        return self.intents(functional.dropout(mean, DROPOUT, self.training)), self.tags(inner)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the trained numbers as agent/understanding/encoder.py reads them."""
        found = {
            "marks": self.marks,
            "intents": self.intents.weight,
            "intents.bias": self.intents.bias,
            "inner": self.inner.weight,
            "inner.bias": self.inner.bias,
            "inner.scales": self.inner_scales,
            "inner.intents": self.inner_intents.weight,
            "tags": self.tags.weight,
            "tags.bias": self.tags.bias,
        }
        for number, layer in enumerate(self.layers):
            for name, part in layer.parts.items():
                path = f"encoder.layer.{number}.{name}"
                found[f"{path}.bias"] = part.bias
                if isinstance(part, Dense):
                    found[f"{path}.weight.up"] = part.up * SCALE
                    found[f"{path}.weight.down"] = part.down
                else:
                    found[f"{path}.weight"] = part.weight
        return {name: value.detach().numpy().astype(np.float16) for name, value in found.items()}


class Samples:
    """The rows of a file of samples."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self._arrays = {name: file[name] for name in file.files}
        self.words = json.loads(self._arrays["words"].tobytes())
        self.allowed = torch.from_numpy(self._arrays["allowed"])
        self.views = int(self._arrays["views"].max()) + 1
        self._lengths = np.diff(self._arrays["starts"])

    def batches(self, view: int, chance: random.Random) -> Iterator[Sequence[Tensor]]:
        """Yields pieces, marks, mask, intents and tags of rows of like length, in an order of chance."""
        rows = np.flatnonzero(self._arrays["views"] == view).tolist()
        rows.sort(key=lambda row: self._lengths[row] + 2 * chance.random())
        groups = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        chance.shuffle(groups)
        for group in groups:
            longest = int(self._lengths[group].max())
            pieces, marks = torch.zeros(2, len(group), longest, dtype=torch.long)
            tags = torch.full((len(group), longest), NO_TAG)
            mask = torch.zeros(len(group), longest)
            for place, row in enumerate(group):
                part = slice(self._arrays["starts"][row], self._arrays["starts"][row + 1])
                length = self._lengths[row]
                pieces[place, :length] = torch.from_numpy(self._arrays["pieces"][part])
                marks[place, :length] = torch.from_numpy(self._arrays["marks"][part])
                tags[place, :length] = torch.from_numpy(self._arrays["tags"][part])
                mask[place, :length] = 1
            yield pieces, marks, mask, torch.from_numpy(self._arrays["intents"][group]).long(), tags


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file."""
    content = np.fromfile(path, np.uint8)
    start = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(content[8:start].tobytes())
    return {
        name: torch.from_numpy(
            content[slice(*(start + offset for offset in about["data_offsets"]))].view(np.float32).copy()
        ).reshape(about["shape"])
        for name, about in header.items()
        if about.get("dtype") == "F32"
    }


def loss_of(net: Net, batch: Sequence[Tensor], allowed: Tensor) -> Tensor:
    pieces, marks, mask, intents, tags = batch
    # On processors with bf16 a third less time; what is compared, and all that is trained, stays fp32.
    with torch.autocast("cpu", torch.bfloat16):
        scores, tag_scores = net(pieces, marks, mask, intents)
    scores, tag_scores = scores.float(), tag_scores.float()
    loss = functional.cross_entropy(scores, intents, label_smoothing=SMOOTHING)
    has_tag = tags != NO_TAG
    if not has_tag.any():
        return loss
    among = tag_scores.masked_fill(~allowed[intents][:, None], -1e9)
    return loss + TAG_WEIGHT * functional.cross_entropy(among[has_tag], tags[has_tag])


def train(samples: Samples, weights: Mapping[str, Tensor]) -> Net:
    torch.manual_seed(1)
    net = Net(weights, *(len(samples.words[name]) for name in ("marks", "intents", "tags")))
    chance = random.Random(1)  # noqa: S311
    matrices = [one for one in net.parameters() if one.dim() > 1]
    vectors = [one for one in net.parameters() if one.dim() == 1]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.01}, {"params": vectors}],
                                  lr=RATE, weight_decay=0.0)  # fmt: skip
    # The first view, with all names, comes last.
    order = [(EPOCHS - 1 - epoch) % samples.views for epoch in range(EPOCHS)]
    steps = sum(sum(1 for _ in samples.batches(view, random.Random(0))) for view in order)  # noqa: S311
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM_UP, max(0.0, (steps - step) / steps))
    )
    step = 0
    for view in order:
        for batch in samples.batches(view, chance):
            loss = loss_of(net, batch, samples.allowed)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            rates.step()
            step += 1
            if step % 200 == 0:
                print(
                    f"{step} of {steps}: loss {float(loss.detach()):.2f}, {time.process_time():.0f} s",
                    flush=True,
                )
    return net


def main() -> None:
    samples_path, weights_path, target = map(Path, sys.argv[1:])
    samples = Samples(samples_path)
    net = train(samples, read_tensors(weights_path))
    words = json.dumps({**samples.words, "layers": LAYERS})
    np.savez_compressed(target, words=np.frombuffer(words.encode(), np.uint8), **net.arrays())
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
