"""Weights and inputs that follow from a seed and from key names, and figures that stand for a large result.

Both sides of a parity test build the same numbers from them, so no weight has to be kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
FIGURES_PER_ARRAY = 192
"""Values of a result that are kept as they are, evenly spread."""
PROJECTIONS = 8


def noise(name: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Standard normal values that depend on `name`, `shape` and `seed` alone."""
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode()), *shape]))
    return generator.standard_normal(shape, dtype=np.float32)


def weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    """Values for every key of a state dict, in sizes that keep activations near one."""
    weights_by_name: dict[str, Array] = {}
    for key, shape in shapes.items():
        weights_by_name[key] = _value(key, shape, seed)
    for key in shapes:
        if key.endswith("weight_orig"):
            stem = key.removesuffix("orig")
            weights_by_name[stem + "u"], weights_by_name[stem + "v"] = _singular(
                weights_by_name[key], noise(key + "_u", shapes[stem + "u"], seed)
            )
    return weights_by_name


def _value(key: str, shape: tuple[int, ...], seed: int) -> Array:
    drawn = noise(key, shape, seed)
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)  # type: ignore[return-value]
    if last == "running_var":
        return np.asarray(0.5 + np.abs(drawn), np.float32)
    if last in ("gamma", "beta"):
        return np.asarray(0.3 * drawn, np.float32)
    if last in ("weight", "weight_orig") and len(shape) > 1:
        return np.asarray(drawn * np.sqrt(2 / np.prod(shape[1:])), np.float32)
    if last == "weight":
        return np.asarray(1 + 0.1 * drawn, np.float32)
    return np.asarray(0.1 * drawn, np.float32)


def _singular(weight: Array, start: Array) -> tuple[Array, Array]:
    """The first singular vectors, nearly: what training leaves in weight_u and weight_v."""
    matrix, u = weight.reshape(len(weight), -1).astype(np.float64), start.astype(np.float64)
    for _ in range(5):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
    return u.astype(np.float32), v.astype(np.float32)


def figures(result: Array) -> Array:
    """Evenly spread values, then projections of the whole on seeded noise, its mean and root mean square."""
    flat = np.asarray(result, np.float64).ravel()
    spread = flat[np.linspace(0, flat.size - 1, min(FIGURES_PER_ARRAY, flat.size)).astype(np.int64)]
    sums = [
        flat @ noise(f"projection {index}", (flat.size,)).astype(np.float64) / np.sqrt(flat.size)
        for index in range(PROJECTIONS)
    ]
    return np.asarray([*spread, *sums, flat.mean(), np.sqrt(np.mean(flat**2))], np.float32)


def largest_error(ours: Array, theirs: Array) -> float:
    """The largest difference, in root mean squares of theirs."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.abs(ours - theirs).max() / (np.sqrt(np.mean(theirs**2)) + 1e-30))
