"""Signs a finished video before it is delivered; the render maker calls it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avatar.spec import Finished, Notice, OutputFile

from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError
from studio.renders.credentials import SigningKey, sign_video


@dataclass(frozen=True, slots=True)
class VideoSigner:
    """`load_key` reads the installation's key at each video; a copy is written into `work_dir`."""

    load_key: Callable[[], SigningKey]
    work_dir: Path

    async def sign(self, result: Finished, blobs: BlobStore, trace_id: str | None = None) -> Finished:
        """Returns the result with the signed video, and with a provenance file that names its hash.

        Both have the trace id of the render, also where its worker had none.

        What could not be signed comes back as it is, with a notice `provenance.unsigned`. Raises OSError and
        StorageFull.
        """
        files = {file.role: file for file in result.files}
        video, provenance = files.get("video"), files.get("provenance")
        if video is None or provenance is None:
            return result
        record = json.loads((await blobs.local_path(provenance.sha256)).read_bytes())
        if not isinstance(record.get("video"), dict):  # of a worker that records nothing there is no claim
            return result
        record["trace_id"] = record.get("trace_id") or trace_id
        source = await blobs.local_path(video.sha256)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sign-", dir=self.work_dir) as folder:
            target = Path(folder) / "video.mp4"
            try:
                await asyncio.to_thread(lambda: sign_video(source, target, record, self.load_key()))
            except SoundstageError as error:
                notice = Notice(
                    code="provenance.unsigned",
                    message=f"The video carries no Content Credentials. {error.message}",
                    details={"because": error.code},
                )
                return result.model_copy(update={"warnings": (*result.warnings, notice)})
            blob = await blobs.put_file(target, video.media_type)
        record["video"] |= {"sha256": blob.sha256, "bytes": blob.bytes}
        beside = await blobs.put_bytes(json.dumps(record, indent=2).encode(), provenance.media_type)
        signed = {"video": _file(video, blob.sha256, blob.bytes)}
        signed["provenance"] = _file(provenance, beside.sha256, beside.bytes)
        return result.model_copy(
            update={"files": tuple(signed.get(file.role, file) for file in result.files)}
        )


def _file(file: OutputFile, sha256: str, size: int) -> OutputFile:
    return file.model_copy(update={"sha256": sha256, "bytes": size})
