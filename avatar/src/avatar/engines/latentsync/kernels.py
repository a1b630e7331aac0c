"""Triton kernels for the layers between the matrix products, for pictures in channels-last memory on a card.

torch's own read and write every value once for each operation, and its GroupNorm also transposes to channels
first and back. These read each value once or twice and write it once. Sums are float32 in every precision.
"""

# Triton reads no types, and its constants of compile time are written in capitals.
# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: N803

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

TILE = 8192
"""Values that a program holds at a time."""
PROGRAMS = 1024
"""Sums of a GroupNorm are taken in about so many parts."""
PARTS_AT_ONCE = 64
GATE_BLOCK = 2048
ATTENTION_ROWS, ATTENTION_BYTES = 64, 48 << 10
"""Queries of a program, with 16 frames those of four places; fewer where queries, keys and values would take
more of a multiprocessor's shared memory, of which Turing has 64 KiB."""
LEAST_DOT = 16
"""The least side of a matrix that the tensor cores multiply."""


@triton.jit
def _sum_rows(x, partial, rows, channels, per_program, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    # Against the chunk's first row, so that a mean far from zero costs no digits.
    chunk, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.arange(0, CHANNELS)
    inside = column < channels
    base = x + chunk * rows * channels
    first = tl.load(base + column, mask=inside, other=0).to(tl.float32)
    total = tl.zeros((CHANNELS,), tl.float32)
    squared = tl.zeros((CHANNELS,), tl.float32)
    start = part * per_program
    for offset in range(0, per_program, ROWS):
        row = start + offset + tl.arange(0, ROWS)
        where = ((row < rows) & (row < start + per_program))[:, None] & inside[None, :]
        value = tl.load(base + row[:, None].to(tl.int64) * channels + column[None, :], mask=where, other=0)
        away = tl.where(where, value.to(tl.float32) - first[None, :], 0.0)
        total += tl.sum(away, 0)
        squared += tl.sum(away * away, 0)
    place = partial + (chunk * tl.num_programs(1) + part) * 2 * channels
    tl.store(place + column, total, mask=inside)
    tl.store(place + channels + column, squared, mask=inside)


@triton.jit
def _norm_factors(
    x,
    partial,
    weight,
    bias,
    added,
    factors,
    rows,
    channels,
    parts,
    eps,
    ADDED: tl.constexpr,
    IN_GROUP: tl.constexpr,
    COLUMNS: tl.constexpr,
    PARTS: tl.constexpr,
):
    # By what each channel is multiplied, and what is added to it: Chan's sum of the channels' variances.
    chunk, group = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = group * IN_GROUP + tl.arange(0, COLUMNS)
    inside = tl.arange(0, COLUMNS) < IN_GROUP
    total = tl.zeros((COLUMNS,), tl.float32)
    squared = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, parts, PARTS):
        part = start + tl.arange(0, PARTS)
        where = (part < parts)[:, None] & inside[None, :]
        place = partial + (chunk * parts + part[:, None]) * 2 * channels + column[None, :]
        total += tl.sum(tl.load(place, mask=where, other=0.0), 0)
        squared += tl.sum(tl.load(place + channels, mask=where, other=0.0), 0)
    first = tl.load(x + chunk * rows * channels + column, mask=inside, other=0).to(tl.float32)
    away = total / rows
    mean_of_channel = first + away
    if ADDED:
        extra = tl.load(added + column, mask=inside, other=0).to(tl.float32)
        mean_of_channel += extra
    mean = tl.sum(tl.where(inside, mean_of_channel, 0.0), 0) / IN_GROUP
    apart = mean_of_channel - mean
    spread = squared / rows - away * away + apart * apart
    variance = tl.sum(tl.where(inside, spread, 0.0), 0) / IN_GROUP
    scale = tl.load(weight + column, mask=inside, other=0).to(tl.float32) / tl.sqrt(variance + eps)
    shift = tl.load(bias + column, mask=inside, other=0).to(tl.float32) - mean * scale
    if ADDED:
        shift += extra * scale
    place = factors + chunk * 2 * channels + column
    tl.store(place, scale, mask=inside)
    tl.store(place + channels, shift, mask=inside)


@triton.jit
def _apply_norm(
    x, factors, out, rows, channels, SILU: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):
    chunk, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.arange(0, CHANNELS)
    inside = column < channels
    scale = tl.load(factors + chunk * 2 * channels + column, mask=inside, other=0.0)
    shift = tl.load(factors + (chunk * 2 + 1) * channels + column, mask=inside, other=0.0)
    row = part * ROWS + tl.arange(0, ROWS)
    where = (row < rows)[:, None] & inside[None, :]
    place = chunk * rows * channels + row[:, None].to(tl.int64) * channels + column[None, :]
    value = tl.load(x + place, mask=where, other=0).to(tl.float32) * scale[None, :] + shift[None, :]
    if SILU:
        value = value / (1.0 + tl.exp(-value))
    tl.store(out + place, value.to(out.dtype.element_ty), mask=where)


@triton.jit
def _layer_norm(
    x,
    branch,
    weight,
    bias,
    table,
    summed,
    out,
    rows,
    channels,
    places,
    frames,
    eps,
    BRANCH: tl.constexpr,
    TABLE: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, CHANNELS)
    inside = column < channels
    where = (row < rows)[:, None] & inside[None, :]
    place = row[:, None] * channels + column[None, :]
    value = tl.load(x + place, mask=where, other=0).to(tl.float32)
    if BRANCH:
        value += tl.load(branch + place, mask=where, other=0).to(tl.float32)
        rounded = value.to(summed.dtype.element_ty)
        tl.store(summed + place, rounded, mask=where)
        value = rounded.to(tl.float32)
    mean = tl.sum(value, 1) / channels
    away = tl.where(where, value - mean[:, None], 0.0)
    variance = tl.sum(away * away, 1) / channels
    normed = away / tl.sqrt(variance + eps)[:, None]
    normed = normed * tl.load(weight + column, mask=inside, other=0).to(tl.float32)[None, :]
    normed += tl.load(bias + column, mask=inside, other=0).to(tl.float32)[None, :]
    if TABLE:
        frame = (row // places) % frames
        normed += tl.load(table + frame[:, None] * channels + column[None, :], mask=where, other=0).to(
            tl.float32
        )
    tl.store(out + place, normed.to(out.dtype.element_ty), mask=where)


@triton.jit
def _gate(x, out, count, inner, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    where = place < count
    row, column = place // inner, place % inner
    value = tl.load(x + row * 2 * inner + column, mask=where, other=0).to(tl.float32)
    gate = tl.load(x + row * 2 * inner + inner + column, mask=where, other=0).to(tl.float32)
    gated = value * (0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476)))
    tl.store(out + place, gated.to(out.dtype.element_ty), mask=where)


@triton.jit
def _add_biased(x, y, bias, out, count, channels, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    where = place < count
    value = tl.load(x + place, mask=where, other=0).to(tl.float32)
    value += tl.load(y + place, mask=where, other=0).to(tl.float32)
    value += tl.load(bias + place % channels, mask=where, other=0).to(tl.float32)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=where)


@triton.jit
def _attend_over_frames(
    query,
    key,
    value,
    out,
    places,
    frames,
    channels,
    scale,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
    FRAMES: tl.constexpr,
    ROWS: tl.constexpr,
):
    # Some places at once: a place sees its own frames, the rest of the square is masked.
    head, block, chunk = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    line = tl.arange(0, ROWS)
    place, frame = block * (ROWS // FRAMES) + line // FRAMES, line % FRAMES
    shown = (place < places) & (frame < frames)
    row = (chunk * frames + frame) * places + place
    column = tl.arange(0, COLUMNS)
    where = shown[:, None] & (column < WIDTH)[None, :]
    at = row[:, None] * channels + head * WIDTH + column[None, :]
    queries = tl.load(query + at, mask=where, other=0)
    keys = tl.load(key + at, mask=where, other=0)
    values = tl.load(value + at, mask=where, other=0)
    scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
    same = (line // FRAMES)[:, None] == (line // FRAMES)[None, :]
    scores = tl.where(same & shown[None, :], scores, -1e30)
    scores = tl.exp(scores - tl.max(scores, 1)[:, None])
    scores = scores / tl.sum(scores, 1)[:, None]
    mixed = tl.dot(scores.to(values.dtype), values, input_precision="ieee")
    tl.store(out + at, mixed.to(out.dtype.element_ty), mask=where)


def group_norm(x: Tensor, norm: nn.GroupNorm, num_frames: int, silu: bool, added: Tensor | None) -> Tensor:
    """Returns what `fused.group_norm` does."""
    count, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    chunks, rows = count // num_frames, num_frames * height * width
    columns = triton.next_power_of_2(channels)
    at_once = max(1, TILE // columns)
    per_program = max(at_once, triton.next_power_of_2(triton.cdiv(rows * chunks, PROGRAMS)))
    parts = triton.cdiv(rows, per_program)
    partial = torch.empty((chunks, parts, 2, channels), device=x.device, dtype=torch.float32)
    factors = torch.empty((chunks, 2, channels), device=x.device, dtype=torch.float32)
    out = torch.empty_like(x, memory_format=torch.channels_last)
    in_group = channels // norm.num_groups
    _sum_rows[(chunks, parts)](x, partial, rows, channels, per_program, ROWS=at_once, CHANNELS=columns)
    _norm_factors[(chunks, norm.num_groups)](
        x,
        partial,
        norm.weight,
        norm.bias,
        norm.weight if added is None else added.contiguous(),
        factors,
        rows,
        channels,
        parts,
        norm.eps,
        ADDED=added is not None,
        IN_GROUP=in_group,
        COLUMNS=triton.next_power_of_2(in_group),
        PARTS=PARTS_AT_ONCE,
    )
    _apply_norm[(chunks, triton.cdiv(rows, at_once))](
        x, factors, out, rows, channels, SILU=silu, ROWS=at_once, CHANNELS=columns
    )
    return out


def add_layer_norm(
    x: Tensor, branch: Tensor | None, norm: nn.LayerNorm, table: Tensor | None, num_frames: int
) -> tuple[Tensor, Tensor]:
    """Returns what `fused.add_layer_norm` does."""
    x = x.contiguous()
    branch = None if branch is None else branch.contiguous()
    channels, places = x.shape[-1], x.shape[-2]
    rows = x.numel() // channels
    columns = triton.next_power_of_2(channels)
    at_once = max(1, TILE // 2 // columns)
    out = torch.empty_like(x)
    summed = x if branch is None else torch.empty_like(x)
    _layer_norm[(triton.cdiv(rows, at_once),)](
        x,
        x if branch is None else branch,
        norm.weight,
        norm.bias,
        norm.weight if table is None else table.contiguous(),
        summed,
        out,
        rows,
        channels,
        places,
        num_frames,
        norm.eps,
        BRANCH=branch is not None,
        TABLE=table is not None,
        ROWS=at_once,
        CHANNELS=columns,
    )
    return summed, out


def geglu(projected: Tensor) -> Tensor:
    """Returns what `fused.geglu` does."""
    projected = projected.contiguous()
    inner = projected.shape[-1] // 2
    out = projected.new_empty((*projected.shape[:-1], inner))
    _gate[(triton.cdiv(out.numel(), GATE_BLOCK),)](projected, out, out.numel(), inner, BLOCK=GATE_BLOCK)
    return out


def add_biased(x: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    """Returns what `fused.add_biased` does."""
    x, y = (one.contiguous(memory_format=torch.channels_last) for one in (x, y))
    out = torch.empty_like(x, memory_format=torch.channels_last)
    _add_biased[(triton.cdiv(x.numel(), GATE_BLOCK),)](
        x, y, bias.contiguous(), out, x.numel(), x.shape[1], BLOCK=GATE_BLOCK
    )
    return out


def attend_over_frames(query: Tensor, key: Tensor, value: Tensor, heads: int, num_frames: int) -> Tensor:
    """Returns what `fused.attend_over_frames` does."""
    query, key, value = (one.contiguous() for one in (query, key, value))
    count, places, channels = query.shape
    width = channels // heads
    frames = max(LEAST_DOT, triton.next_power_of_2(num_frames))
    columns = max(LEAST_DOT, triton.next_power_of_2(width))
    rows = frames
    while rows < ATTENTION_ROWS and 2 * rows * columns * 3 * query.itemsize <= ATTENTION_BYTES:
        rows *= 2
    out = torch.empty_like(query)
    grid: Any = (heads, triton.cdiv(places, rows // frames), count // num_frames)
    _attend_over_frames[grid](
        query,
        key,
        value,
        out,
        places,
        num_frames,
        channels,
        width**-0.5,
        WIDTH=width,
        COLUMNS=columns,
        FRAMES=frames,
        ROWS=rows,
    )
    return out
