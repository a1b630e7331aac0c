"""The files that a task's spec names by their hash; schedulers bring them to where the worker runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


async def media_named(task: SegmentTask, blobs: BlobStore) -> list[str]:
    """Their hashes, each once, stored or not; for a segment those of its scene only."""
    if task.spec_sha256 is None:
        return []
    spec: Any = json.loads(await blobs.read(task.spec_sha256))
    if task.kind == "segment" and isinstance(spec, dict):
        scenes = [scene for scene in spec.get("scenes", ()) if scene.get("id") == task.scene_id]
        spec = {**spec, "scenes": scenes}
    return sorted(set(_hashes_in(spec)))


def _hashes_in(value: Any) -> Iterator[str]:
    """Every `sha256:…` in a JSON value, but for the evidence of consents, which no worker needs."""
    if isinstance(value, str):
        if _HASH.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            if name != "evidence":
                yield from _hashes_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _hashes_in(item)
