"""Writes a Piper voice of random tones, a few kilobytes: run by the Python of Piper's own environment.

    python tiny_voice.py VOICE.onnx

The graph has the inputs, the output and the one Ceil node of durations that VITS voices of Piper have: the
length of each symbol comes from a table, its tone from another.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

HOP, RATE_HZ, SYMBOLS = 256, 22050, 256


def model() -> onnx.ModelProto:
    random = np.random.default_rng(1)
    # Half a hop per symbol: Piper puts a blank between any two.
    constants = {
        "durations": (0.3 + random.integers(1, 5, SYMBOLS)).astype(np.float32),
        "tones": (0.02 + 0.2 * random.random(SYMBOLS)).astype(np.float32),
        "one": np.array([1]), "two": np.array([2]), "rows": np.array([0]), "columns": np.array([1]),
        "axis": np.array(1), "shape": np.array([1, 1, 1, -1]),
        "hop": np.float32(HOP), "none": np.float32(0), "step": np.float32(1),
    }  # fmt: skip
    nodes = [
        ("Gather", ["durations", "input"], "length", {}),
        ("Slice", ["scales", "one", "two"], "pace", {}),
        ("Mul", ["length", "pace"], "scaled", {}),
        ("Ceil", ["scaled"], "w_ceil", {}),
        ("CumSum", ["w_ceil", "axis"], "ends", {}),
        ("ReduceSum", ["w_ceil"], "frames", {"keepdims": 0}),
        ("Mul", ["frames", "hop"], "samples", {}),
        ("Range", ["none", "samples", "step"], "time", {}),
        ("Div", ["time", "hop"], "frame", {}),
        ("Unsqueeze", ["frame", "axis"], "column", {}),
        ("GreaterOrEqual", ["column", "ends"], "past", {}),
        ("Cast", ["past"], "counted", {"to": TensorProto.INT64}),
        ("ReduceSum", ["counted", "columns"], "place", {"keepdims": 0}),
        ("Squeeze", ["input", "rows"], "symbols", {}),
        ("Gather", ["symbols", "place"], "symbol", {}),
        ("Gather", ["tones", "symbol"], "tone", {}),
        ("Mul", ["tone", "time"], "phase", {}),
        ("Sin", ["phase"], "wave", {}),
        ("Reshape", ["wave", "shape"], "output", {}),
    ]
    inputs = (("input", TensorProto.INT64, [1, "n"]), ("input_lengths", TensorProto.INT64, [1]),
              ("scales", TensorProto.FLOAT, [3]))  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node(kind, names, [output], **options) for kind, names, output, options in nodes],
        "voice",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    voice = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    voice.ir_version = 8
    onnx.checker.check_model(voice)
    return voice


CARD = {
    "audio": {"sample_rate": RATE_HZ},
    "espeak": {"voice": "en-us"},
    "num_symbols": SYMBOLS,
    "num_speakers": 1,
    "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
}
onnx.save(model(), sys.argv[1])
Path(f"{sys.argv[1]}.json").write_text(json.dumps(CARD), encoding="utf-8")
