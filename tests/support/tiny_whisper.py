"""A Whisper model of random weights, in the format of CTranslate2; for tests of the way to it."""

from __future__ import annotations

import json
from pathlib import Path

WIDTH = 64
WORDS = ("Ġhello", "Ġeverybody", "Ġand", "Ġwelcome")
"""As GPT-2 writes bytes: `Ġ` is a blank."""
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>"),
    *("<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
TIMES = tuple(f"<|{number * 0.02:.2f}|>" for number in range(1501))


def write_tiny_whisper(folder: Path) -> None:
    """Writes `model.bin`, `config.json`, `vocabulary.json` and `tokenizer.json`. Needs faster-whisper."""
    import numpy as np
    from ctranslate2.specs import WhisperSpec
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    chance = np.random.default_rng(7)
    tokens = [*WORDS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *SPECIAL, *TIMES]

    def weights(*shape: int) -> np.ndarray:
        return (chance.standard_normal(shape) * 0.05).astype(np.float32)

    def norm(spec: object) -> None:
        spec.gamma, spec.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)  # type: ignore[attr-defined]

    def linear(spec: object, rows: int, columns: int = WIDTH) -> None:
        spec.weight, spec.bias = weights(rows, columns), np.zeros(rows, np.float32)  # type: ignore[attr-defined]

    spec = WhisperSpec(1, 1, 1, 1)
    for conv, inputs in ((spec.encoder.conv1, 80), (spec.encoder.conv2, WIDTH)):
        conv.weight, conv.bias = weights(WIDTH, inputs, 3), np.zeros(WIDTH, np.float32)
    spec.encoder.position_encodings.encodings = weights(1500, WIDTH)
    spec.decoder.position_encodings.encodings = weights(448, WIDTH)
    spec.decoder.embeddings.weight = weights(len(tokens), WIDTH)
    spec.decoder.projection.weight = weights(len(tokens), WIDTH)
    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        for layer in side.layer:
            norm(layer.self_attention.layer_norm)
            linear(layer.self_attention.linear[0], 3 * WIDTH)
            linear(layer.self_attention.linear[1], WIDTH)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, 4 * WIDTH)
            linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
    for layer in spec.decoder.layer:
        norm(layer.attention.layer_norm)
        for number, rows in enumerate((WIDTH, 2 * WIDTH, WIDTH)):
            linear(layer.attention.linear[number], rows)
    spec.config.alignment_heads = [(0, 0)]
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.save(str(folder))
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*SPECIAL, *TIMES)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))
