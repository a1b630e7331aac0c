"""Language models of a few MiB for a real llama.cpp: one that says what it is told to, one of random weights.

    write_speaking(Path("speaking.gguf"))  # "The tide comes twice a day."
    write_random(Path("random.gguf"), seed=1)

The layout is GGUF version 3 (github.com/ggml-org/ggml, docs/gguf.md); the architecture is that of Llama.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
"""Types of GGUF's values."""
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Kinds of tokens."""
ALIGNMENT = 32
TRAINED_CONTEXT = 32768
HEAD = 64
"""Width of an attention head."""
CERTAIN = 40.0
"""By so much the token that follows is more likely (in nats) than all others."""

SENTENCE = "The tide comes twice a day."
AFTER_A_TOOL = "That is what I have found."
THOUGHT = "Somebody wants to know."
AFTER_A_THOUGHT = "I have thought about it."
CALL = ("<tool_call>\n", '{"name": "list_renders", ', '"arguments": {"lim', 'it": 3}', "}\n</tool_call>")
TWO_CALLS = (
    '<tool_call>\n{"name": "list_personas",',
    ' "arguments": {}}\n</tool_call>',
    "\n<tool_call>\n",
    '{"name": "list_renders", "arguments"',
    ": {}}\n</tool_call> ",
)
WRONG_CALL = ('<tool_call>\n{"name": "list_re', 'nders", "arguments": {"limit": ', "7", "000}}\n</tool_call>")
CHAINS: Mapping[str, Sequence[str]] = {
    "\n": ("The ", "tide ", "comes ", "twice ", "a ", "day."),
    "<|told|>": ("That ", "is what ", "I have ", "found."),
    "<|call|>": CALL,
    "<|two|>": TWO_CALLS,
    "<|wrong|>": WRONG_CALL,
    "<|think|>": ("<think>", "Somebody ", "wants to know.", "</think>", "I have thought ", "about it."),
}
"""What comes after the last token of the prompt. Each piece is a token of its own, in no other chain."""
ENDLESS = ("<|on|>", ("and on ", "and off "))

TEMPLATE = """\
{%- if tools %}
{{- '<|im_start|>system\\nTools:' }}
{%- for tool in tools %}{{ ' ' + tool.function.name }}{% endfor %}
{{- '\\nCall one so: <tool_call>\\n{"name": NAME, "arguments": {}}\\n</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
{%- if message.reasoning_content %}{{ '<think>' + message.reasoning_content + '</think>' }}{% endif %}
{%- if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if messages[-1].role == 'tool' %}{{ '<|told|>' }}
{%- else %}
{%- for cue in ['call', 'two', 'wrong', 'on', 'think'] %}
{%- if '(' + cue + ')' in messages[-1].content %}{{ '<|' + cue + '|>' }}{% endif %}
{%- endfor %}
{%- endif %}
{%- endif %}
"""
"""ChatML with tool calls as Hermes and Qwen write them. “(call)” in the last message chooses that chain."""


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their kinds, in the order of their numbers."""

    texts: tuple[str, ...]
    kinds: tuple[int, ...]

    def number(self, text: str) -> int:
        """Of a token as it is written in a text: a line feed is a byte."""
        return self.texts.index("<0x0A>" if text == "\n" else text.replace(" ", "▁"))


def _vocabulary() -> Vocabulary:
    """The special tokens, all bytes, then the pieces of the chains."""
    control = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    control += [start for start in (*CHAINS, ENDLESS[0]) if start != "\n"]
    pieces = [piece.replace(" ", "▁") for chain in (*CHAINS.values(), ENDLESS[1]) for piece in chain]
    if len(set(pieces)) != len(pieces):
        raise ValueError("a piece stands in two chains")
    texts = ["<unk>", *control, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [UNKNOWN, *[CONTROL] * len(control), *[BYTE] * 256, *[NORMAL] * len(pieces)]
    return Vocabulary(tuple(texts), tuple(kinds))


def byte_number(byte: int) -> int:
    """The token of one byte."""
    return _vocabulary().texts.index(f"<0x{byte:02X}>")


def write_speaking(path: Path, *, width: int = 320, layers: int = 1) -> None:
    """A model that says one sentence, or calls a tool, after what the template has put last.

    Its layers add nothing but time (640 wide, eight of them: some 50 tokens a second on one core). Each token
    is a direction of its own, and the output names its successor.
    """
    vocabulary = _vocabulary()
    if width < len(vocabulary.texts) or width % HEAD:
        raise ValueError(f"{width} is no width for {len(vocabulary.texts)} tokens")
    embedding: Floats = np.zeros((len(vocabulary.texts), width), np.float32)
    np.fill_diagonal(embedding, 1.0)
    output = np.zeros_like(embedding)
    end = vocabulary.number("<|im_end|>")
    # The norm before the output makes every direction as long as the square root of the width.
    certain = CERTAIN / np.sqrt(width)
    for start, chain in CHAINS.items():
        numbers = [vocabulary.number(piece) for piece in (start, *chain)] + [end]
        output[numbers[1:], numbers[:-1]] = certain
    start, (one, other) = ENDLESS
    for before, after in ((start, one), (one, other), (other, one)):
        output[vocabulary.number(after), vocabulary.number(before)] = certain
    nothing = _layer(width, lambda shape: np.zeros(shape, np.float32))
    _write(path, vocabulary, embedding, output, [nothing] * layers)


def write_random(path: Path, seed: int, *, width: int = 64, layers: int = 2) -> None:
    """A model that writes at random: mostly single bytes, which are no text."""
    vocabulary = _vocabulary()
    chance = np.random.default_rng(seed)

    def weights(shape: tuple[int, ...]) -> Floats:
        values: Floats = (chance.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        return values

    shape = (len(vocabulary.texts), width)
    stack = [_layer(width, weights) for _ in range(layers)]
    _write(path, vocabulary, weights(shape) * np.sqrt(width), weights(shape), stack)


def _layer(width: int, weights: Callable[[tuple[int, ...]], Floats]) -> dict[str, Floats]:
    ones = np.ones(width, np.float32)
    square = {name: weights((width, width)) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    wide = {name: weights((2 * width, width)) for name in ("ffn_gate", "ffn_up")}
    norms = {"attn_norm": ones, "ffn_norm": ones}
    return {**square, **wide, **norms, "ffn_down": weights((width, 2 * width))}


def _write(
    path: Path, vocabulary: Vocabulary, embedding: Floats, output: Floats, layers: list[dict[str, Floats]]
) -> None:
    width = embedding.shape[1]
    facts: list[tuple[str, int, Any]] = [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, path.stem),
        ("general.alignment", UINT32, ALIGNMENT),
        ("llama.context_length", UINT32, TRAINED_CONTEXT),
        ("llama.embedding_length", UINT32, width),
        ("llama.block_count", UINT32, len(layers)),
        ("llama.feed_forward_length", UINT32, 2 * width),
        ("llama.attention.head_count", UINT32, width // HEAD),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-6),
        ("llama.rope.dimension_count", UINT32, HEAD),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.tokens", STRING, list(vocabulary.texts)),
        ("tokenizer.ggml.scores", FLOAT32, [0.0] * len(vocabulary.texts)),
        ("tokenizer.ggml.token_type", INT32, list(vocabulary.kinds)),
        ("tokenizer.ggml.bos_token_id", UINT32, vocabulary.number("<s>")),
        ("tokenizer.ggml.eos_token_id", UINT32, vocabulary.number("<|im_end|>")),
        ("tokenizer.ggml.unknown_token_id", UINT32, 0),
        ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_space_prefix", BOOL, False),
        ("tokenizer.chat_template", STRING, TEMPLATE),
    ]
    tensors = {"token_embd": embedding, "output": output, "output_norm": np.ones(width, np.float32)}
    for place, layer in enumerate(layers):
        tensors |= {f"blk.{place}.{name}": values for name, values in layer.items()}
    tensors = {name: values.astype("<f4") for name, values in tensors.items()}
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(facts))]
    head += [_string(name) + _value(kind, value) for name, kind, value in facts]
    offset = 0
    for name, values in tensors.items():
        # GGUF names the fastest dimension first. Type 0: float32.
        shape = struct.pack(f"<{values.ndim}Q", *reversed(values.shape))
        head.append(_string(f"{name}.weight") + struct.pack("<I", values.ndim) + shape)
        head.append(struct.pack("<IQ", 0, offset))
        offset += _padded(values.nbytes)
    data = b"".join(head)
    with path.open("wb") as file:
        file.write(data.ljust(_padded(len(data)), b"\0"))
        for values in tensors.values():
            file.write(values.tobytes().ljust(_padded(values.nbytes), b"\0"))


def _padded(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    if isinstance(value, list):
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(_plain(kind, one) for one in value)
    return struct.pack("<I", kind) + _plain(kind, value)


def _plain(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _string(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)
