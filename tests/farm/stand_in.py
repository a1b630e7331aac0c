"""Stands in for the worker where it must misbehave; run as a program by tests of farm and studio.

It takes the worker's real command line and prints progress lines that `avatar.spec.parse_progress` reads.
What it does differently is only what its order says: the first line of the scene's script, such as `!crash`
or `!slow 3`. It imports nothing of the project, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEDIA_TYPES = {
    "segment": "video/mp4",
    "audio": "audio/wav",
    "words": "application/json",
    "video": "video/mp4",
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
    "poster": "image/png",
    "provenance": "application/json",
    "portrait": "application/json",
}
FRAMES = 10
JPEG = b"\xff\xd8\xff\xe0 the picture "
FILM = b"\x00\x00\x00\x18ftypisom film "


File = dict[str, Any]


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def failed(code: str, message: str, hint: str = "") -> None:
    say("error", code=code, message=message, hint=hint)


class Run:
    def __init__(self, arguments: list[str]) -> None:
        self.command = arguments[0]
        self.options = {name: value for name, value in itertools.pairwise(arguments) if name.startswith("--")}
        named = {*self.options, *self.options.values(), "--json"}
        self.positional = [part for part in arguments[1:] if part not in named]
        self.source = Path(self.positional[0]).read_bytes()
        self.scene = self.positional[1] if self.command in ("segment", "preview", "still") else None
        self.out = Path(self.positional[-1])

    @property
    def order(self) -> list[str]:
        """The first line of what the scene says, when it starts with "!"."""
        if self.command in ("prepare", "probe"):
            text = self.source.decode("latin-1").rpartition("\n")[2]
        else:
            spec = json.loads(self.source)
            scenes = spec.get("scenes") or [{"id": None, "script": spec.get("transcript")}]
            chosen = [scene for scene in scenes if scene["id"] == self.scene] or scenes
            text = (chosen[0].get("script") or "").partition("\n")[0]
            if self.command == "assemble":
                text = text.replace("!", "", 1) if text.startswith("!assemble-") else ""
                text = text.replace("assemble-", "!")
        return text[1:].split() if text.startswith("!") else []

    def write(self, role: str, path: Path, content: bytes) -> File:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        return {
            "role": role,
            "path": str(path),
            "sha256": digest,
            "bytes": len(content),
            "media_type": MEDIA_TYPES[role],
        }

    def results(self) -> list[File]:
        seal = hashlib.sha256(self.source + str(self.scene).encode()).hexdigest().encode()
        if self.command == "segment":
            environment = json.dumps(dict(os.environ)).encode()
            return [
                self.write("segment", self.out / "segment.mp4", b"picture " + seal),
                self.write("audio", self.out / "audio.wav", b"sound " + seal),
                self.write("words", self.out / "words.json", environment),
            ]
        if self.command == "probe":
            return []
        if self.command == "prepare":
            return [self.write("portrait", self.out, b'{"portrait": "' + seal + b'"}')]
        if self.command == "assemble":
            folder = Path(self.options["--segments"])
            parts = b"".join(path.read_bytes() for path in sorted(folder.glob("*/segment.mp4")))
            created = [self.write("video", self.out, FILM + parts)]
            for role, ending in (("vtt", ".vtt"), ("srt", ".srt"), ("poster", ".png")):
                created.append(self.write(role, self.out.with_suffix(ending), role.encode() + seal))
            return [*created, self.write("provenance", self.out.with_suffix(".provenance.json"), b"{}")]
        return [self.write("video", self.out, FILM + seal)]


def frames(run: Run, seconds: float = 0.0) -> None:
    say("stage", stage="speech", scene=run.scene)
    say("stage", stage="frames", scene=run.scene, total_frames=FRAMES)
    for done in range(1, FRAMES + 1):
        left = seconds * (FRAMES - done) / FRAMES
        say("progress", scene=run.scene, done_frames=done, total_frames=FRAMES, fps=25.0, eta_s=left)
        time.sleep(seconds / FRAMES)


def finish(run: Run, files: list[File]) -> int:
    mark = {"event": "warning", "code": "speech.markup", "message": "a mark was not honoured"}
    say(
        "result",
        files=files,
        duration_ms=400,
        frames=FRAMES,
        warnings=[mark] if run.order[:1] == ["warn"] else [],
        lost_face_frames=[[2, 4]] if run.order[:1] == ["lost"] else [],
        engines=[{"scene": run.scene, "engine": run.order[1], "asked": "auto", "mode": "middle"}]
        if run.order[:1] == ["drawn-by"]
        else [],
        media={"kind": "video", "width": 96, "height": 64, "fps": 25.0} if run.command == "probe" else None,
    )
    return 0


def sound(run: Run, duration_ms: str) -> int:
    """A look into a recording of that length."""
    facts = {"kind": "audio", "audio_codec": "pcm_s16le", "sample_rate_hz": 24000, "channels": 1}
    say("result", files=[], duration_ms=int(duration_ms), frames=0, media=facts)
    return 0


def on_term(*_: object) -> None:
    failed("render.cancelled", "stopped by SIGTERM")
    os._exit(143)


def peak(run: Run, mib: str) -> int:
    """Says that it took so much GPU memory; dies of it where its grant was less."""
    if int(os.environ.get("SOUNDSTAGE_VRAM_MIB", mib)) < int(mib):
        return blame(run, "gpu.out_of_memory")
    say("result", files=run.results(), duration_ms=400, frames=FRAMES, peak_vram_mib=int(mib))
    return 0


def crash_on(run: Run, uuid: str) -> int:
    """Only on this card."""
    return crash(run) if uuid in os.environ.get("CUDA_VISIBLE_DEVICES", "") else finish(run, run.results())


def slow(run: Run, seconds: str) -> int:
    frames(run, float(seconds))
    return finish(run, run.results())


def show(run: Run, seconds: str) -> int:
    """Shows three pictures while it draws."""
    say("stage", stage="frames", scene=run.scene, total_frames=FRAMES)
    for number in range(3):
        jpeg = base64.b64encode(JPEG + bytes([number])).decode()
        say("preview", scene=run.scene, frame=number, jpeg=jpeg)
        say("progress", scene=run.scene, done_frames=number, total_frames=FRAMES, fps=25.0, eta_s=1.0)
        time.sleep(float(seconds) / 3)
    return finish(run, run.results())


def append_to(mark: Path) -> None:
    """Add an x to a file in the cache; the cache's folder is made by its first user, as the worker does."""
    mark.parent.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as file:
        file.write("x")


def crash(run: Run, when: str = "always") -> int:
    mark = Path(run.options["--cache"]) / "crashed"
    if when == "once" and mark.exists():
        return finish(run, run.results())
    append_to(mark)
    run.results()
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def killed(run: Run) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def fail(run: Run) -> int:
    append_to(Path(run.options["--cache"]) / "failed")
    failed("face.not_found", "there is no face in the picture", "use another")
    return 1


def blame(run: Run, code: str) -> int:
    failed(code, "it is as if this had happened", "see there")
    return 1


def needs(run: Run, name: str) -> int:
    """Fails until somebody has put a file of that name into the cache."""
    return finish(run, run.results()) if (Path(run.options["--cache"]) / name).exists() else fail(run)


def leave(run: Run, status: str) -> int:
    return int(status)


def garbage(run: Run) -> int:
    sys.stdout.buffer.write(b'\xff\xfe not json\n{"event": "dance"}\nTraceback\n')
    return 0


def flood(run: Run) -> int:
    for _ in range(40):
        sys.stdout.buffer.write(b"x" * (1 << 20))
    sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()
    return finish(run, run.results())


def keep(run: Run, how: str = "slow") -> int:
    """Keeps a whole part and half a one for a second try, as `avatar.spec.unfinished` says, and goes on."""
    folder = Path(run.options["--cache"]) / "unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    mine = hashlib.sha256(run.source).hexdigest()[:40]
    work = hashlib.blake2b(os.environ["AVATAR_UNFINISHED"].encode(), digest_size=20).hexdigest()
    with (folder / f"{work}.parts").open("a") as names:
        names.write(f"\n{mine}\n")
    (folder / f".{mine}.{os.getpid()}").write_bytes(b"half")
    (folder / f"{mine}.part").write_bytes(b"whole")
    return {"slow": lambda: slow(run, "60"), "deaf": lambda: deaf(run), "killed": lambda: killed(run)}[how]()


def deaf(run: Run) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    frames(run, 60)
    return 0


def family(run: Run, seconds: str) -> int:
    """Leaves a child behind that holds standard output open."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return slow(run, seconds)


def lie(run: Run) -> int:
    first, *others = run.results()
    return finish(run, [{**first, "sha256": "sha256:" + "0" * 64}, *others])


def escape(run: Run) -> int:
    """Promises a file that is not its own."""
    path = Path("/etc/passwd")
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    stolen = {"role": "segment", "path": str(path), "sha256": digest, "bytes": 1, "media_type": "video/mp4"}
    return finish(run, [stolen])


def promise(run: Run) -> int:
    created = run.results()
    Path(created[0]["path"]).unlink()
    return finish(run, created)


def large(run: Run, size: str) -> int:
    created = run.results()
    return finish(
        run, [run.write(created[0]["role"], Path(created[0]["path"]), os.urandom(int(size))), *created[1:]]
    )


ORDERS: dict[str, Callable[..., int]] = {
    "slow": slow,
    "sound": sound,
    "peak": peak,
    "crash-on": crash_on,
    "show": show,
    "crash": crash,
    "killed": killed,
    "fail": fail,
    "blame": blame,
    "needs": needs,
    "exit": leave,
    "garbage": garbage,
    "flood": flood,
    "keep": keep,
    "deaf": deaf,
    "family": family,
    "lie": lie,
    "escape": escape,
    "promise": promise,
    "large": large,
}


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, on_term)
    run = Run(arguments)
    what, *rest = run.order or ["good"]
    print(f"{run.command} {what}", file=sys.stderr, flush=True)
    if what in ORDERS:
        return ORDERS[what](run, *rest)
    frames(run)
    return finish(run, run.results())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
