"""Puts a checkpoint into a network and refuses every difference by name; called by the engines on torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avatar.engines.weights.checkpoint import import_torch
from avatar.errors import InvalidInput

NAMED = 8
"""How many names of each kind of difference an error's sentence tells; its details tell all."""

Chooses = Callable[[str], bool]


def strict_load(
    module: Any,
    loaded: Mapping[str, Any],
    name: str,
    *,
    constants: Chooses | None = None,
    optional: Sequence[Chooses] = (),
    dtype: Any = None,
) -> tuple[str, ...]:
    """Puts the tensors of the file `name` into `module` (torch.nn.Module); every name and shape must fit.
    Returns the names that the file may lack, and does.

    constants: names whose values the module computes itself; a file may lack them, and one that has them must
        have the same values.
    optional: each chooses a group of names that may be absent together; a group that is there in part is a
        mismatch. What a group's absence means is for the caller.
    dtype: the type that floating tensors get in a module made on the device "meta"; elsewhere the module's
        own type stays.

    Raises InvalidInput `weights.mismatch`.
    """
    torch = import_torch()
    expected = dict(module.state_dict())
    missing = [key for key in expected if key not in loaded]
    absent = {key for key in missing if constants is not None and constants(key)}
    for group in optional:
        members = [key for key in expected if group(key) and key not in absent]
        if members and not any(key in loaded for key in members):
            absent.update(members)
    shared = [key for key in expected if key in loaded]
    _refuse(
        name,
        type(module).__name__,
        missing=[key for key in missing if key not in absent],
        unknown=[key for key in loaded if key not in expected],
        shapes=[
            _shapes(key, loaded[key], expected[key])
            for key in shared
            if not _alike(loaded[key], expected[key])
        ],
        values=[
            key
            for key in shared
            if constants is not None and constants(key) and not _equal(torch, loaded[key], expected[key])
        ],
    )
    virtual = any(tensor.is_meta for tensor in expected.values())
    if virtual:
        loaded = {
            key: value.to(dtype) if dtype is not None and value.is_floating_point() else value
            for key, value in loaded.items()
        }
    module.load_state_dict({key: loaded[key] for key in shared}, strict=False, assign=virtual)
    return tuple(key for key in expected if key in absent)


def _alike(loaded: Any, expected: Any) -> bool:
    return bool(loaded.shape == expected.shape and loaded.is_floating_point() == expected.is_floating_point())


def _shapes(key: str, loaded: Any, expected: Any) -> str:
    return f"{key} is {_form(loaded)} instead of {_form(expected)}"


def _form(tensor: Any) -> str:
    return ("" if tensor.is_floating_point() else "integer ") + ("x".join(map(str, tensor.shape)) or "scalar")


def _equal(torch: Any, loaded: Any, expected: Any) -> bool:
    if expected.is_meta or loaded.shape != expected.shape:
        return True  # nothing to compare with; a shape is told on its own
    return bool(torch.allclose(loaded.float(), expected.float(), rtol=1e-3, atol=1e-3))


def _refuse(
    name: str,
    module: str,
    *,
    missing: Sequence[str],
    unknown: Sequence[str],
    shapes: Sequence[str],
    values: Sequence[str],
) -> None:
    kinds = {
        "missing": missing,
        "unknown": unknown,
        "of another shape or kind": shapes,
        "of another value": values,
    }
    found = [
        f"{len(names)} {what}: {', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}"
        for what, names in kinds.items()
        if names
    ]
    if found:
        raise InvalidInput(
            "weights.mismatch",
            f"{name} is not a checkpoint of this {module}; tensors {'; '.join(found)}.",
            "Fetch the file of the version that `models list` names.",
            [f"{what}: {key}" for what, names in kinds.items() for key in names],
        )
