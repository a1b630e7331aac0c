"""Makes the film "How tides work" from docs/films/tides.yaml, its music, its chart, and a silent clip.

`scripts/bench film [OUT]` writes film, captions and contact sheet into OUT (out/pictures), and the clip into
docs/pictures; `make pictures` calls it too. The music is made here, note by note, and is our own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "docs" / "films" / "tides.yaml"
RATE_HZ = 48_000
BAR_S = 4.0
CHORDS = ((50, 57, 62, 66, 69), (47, 54, 59, 62, 66), (43, 50, 55, 59, 66), (45, 52, 57, 61, 64))
"""Notes of MIDI: D, B minor, G with a seventh, A."""
MELODY = (
    ((74, 0.0), (78, 1.0), (76, 2.0), (69, 3.0)),
    ((71, 0.0), (74, 1.5), (73, 2.5)),
    ((71, 0.5), (74, 1.5), (78, 2.5)),
    ((76, 0.0), (73, 1.0), (69, 2.0)),
)
CLIP_WIDTH, CLIP_FPS, CLIP_CRF = 960, 15, 31
CLIP_PARTS_S = ((0.6, 5.4), (19.0, 9.0), (34.0, 9.5), (62.0, 5.0))
"""Begin and length of what the silent clip shows."""
MAX_CLIP_BYTES = 3_000_000

Sound = npt.NDArray[np.float64]


def hertz(note: int) -> float:
    return float(440.0 * 2 ** ((note - 69) / 12))


def pad(note: int, seconds: float, seed: int) -> Sound:
    """A soft chord tone, (2, samples): three voices a little out of tune, each at its own place."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rise = np.clip(t / 1.2, 0, 1) * np.clip((seconds - t) / 1.4, 0, 1)
    out = np.zeros((2, len(t)))
    for voice, detune in enumerate((-0.12, 0.0, 0.13)):
        f = hertz(note) * 2 ** (detune / 12)
        tone = sum(np.sin(2 * np.pi * f * k * t + seed + voice) / k**1.9 for k in range(1, 6))
        place = 0.5 + 0.32 * (voice - 1)
        out += np.outer((np.cos(place * np.pi / 2), np.sin(place * np.pi / 2)), tone)
    return np.asarray(out * np.sin(rise * np.pi / 2) ** 2 * 0.05)


def pluck(note: int, place: float) -> Sound:
    """A struck tone, (2, samples), that rings out."""
    t = np.arange(round(2.6 * RATE_HZ)) / RATE_HZ
    f = hertz(note)
    tone = sum(np.sin(2 * np.pi * f * k * t) * np.exp(-t * (1.6 + 1.3 * k)) / k for k in range(1, 7))
    tone *= np.clip(t / 0.006, 0, 1)
    return np.outer((np.cos(place * np.pi / 2), np.sin(place * np.pi / 2)), tone) * 0.075


def music(bars: int = 8) -> Sound:
    """A calm bed of so many bars that begins again without a seam, (2, samples) within full scale."""
    whole = np.zeros((2, round(bars * BAR_S * RATE_HZ)))

    def add(sound: Sound, at_s: float) -> None:
        at = (round(at_s * RATE_HZ) + np.arange(sound.shape[1])) % whole.shape[1]
        np.add.at(whole, (slice(None), at), sound)

    for bar in range(bars):
        chord = CHORDS[bar % len(CHORDS)]
        for index, note in enumerate(chord):
            add(pad(note, BAR_S + 1.3, index), bar * BAR_S)
        for step in range(8):
            add(
                0.5 * pluck(chord[(step * 2) % 5] + 12, 0.3 + 0.4 * (step % 2)),
                bar * BAR_S + step * BAR_S / 8,
            )
        for note, beat in MELODY[bar % len(MELODY)]:
            add(pluck(note, 0.62), bar * BAR_S + beat)
    # Echoes fill the room, and turn round with the loop.
    for delay_s, share in ((0.31, 0.28), (0.53, 0.2), (0.87, 0.14)):
        whole = whole + share * np.roll(whole[::-1], round(delay_s * RATE_HZ), axis=1)
    return np.asarray(0.7 * whole / np.abs(whole).max())


def write_wav(path: Path, sound: Sound) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((sound.T * 32767).astype("<i2").tobytes())


def chart(path: Path, size: tuple[int, int] = (1920, 1080)) -> None:
    """The earth with its two bulges of water, the moon and its light, as a PNG."""
    import skia

    width, height = size
    pixels = np.zeros((height, width, 4), np.uint8)
    with skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType) as drawn:
        night = skia.GradientShader.MakeRadial(
            skia.Point(760, 560), 1300, [0xFF17304D, 0xFF0B1626, 0xFF060B14]
        )
        drawn.drawPaint(skia.Paint(Shader=night))
        stars = np.random.default_rng(3)
        for x, y, size_px in zip(stars.uniform(0, width, 170), stars.uniform(0, height, 170),
                                 stars.uniform(0.6, 2.2, 170), strict=True):  # fmt: skip
            drawn.drawCircle(x, y, size_px, skia.Paint(Color=0xB0FFFFFF, AntiAlias=True))
        sea = skia.GradientShader.MakeLinear(
            [skia.Point(380, 300), skia.Point(1000, 780)], [0xFF63BFE6, 0xFF1D5E92]
        )
        drawn.save()
        drawn.rotate(-13, 695, 530)  # both bulges lie on the line to the moon
        drawn.drawOval(skia.Rect.MakeLTRB(330, 310, 1060, 750), skia.Paint(Shader=sea, AntiAlias=True))
        drawn.restore()
        land = skia.GradientShader.MakeRadial(skia.Point(640, 460), 330, [0xFF8FC27D, 0xFF4B8A5C, 0xFF2A5A48])
        drawn.drawCircle(695, 530, 205, skia.Paint(Shader=land, AntiAlias=True))
        for x, y, rx, ry in ((640, 450, 80, 46), (760, 560, 70, 92), (620, 610, 46, 38)):
            oval = skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry)
            drawn.drawOval(oval, skia.Paint(Color=0xFF86B07A, AntiAlias=True))
        glow = skia.GradientShader.MakeRadial(
            skia.Point(1560, 330), 320, [0x60FFFFFF, 0x18FFFFFF, 0x00FFFFFF]
        )
        drawn.drawCircle(1560, 330, 320, skia.Paint(Shader=glow, AntiAlias=True))
        moon = skia.GradientShader.MakeRadial(
            skia.Point(1530, 300), 130, [0xFFF6F3E8, 0xFFD5D2C6, 0xFF97958D]
        )
        drawn.drawCircle(1560, 330, 92, skia.Paint(Shader=moon, AntiAlias=True))
        for x, y, r in ((1530, 310, 17), (1590, 350, 23), (1572, 290, 10), (1545, 372, 12)):
            drawn.drawCircle(x, y, r, skia.Paint(Color=0x40707068, AntiAlias=True))
    noise = np.random.default_rng(5).random((height, width, 1)) - 0.5  # hides the bands of slow ramps
    cv2.imwrite(str(path), np.clip(pixels[..., :3] + 1.6 * noise, 0, 255).astype(np.uint8))


def contact_sheet(film: Path, target: Path, every_s: float = 3.0, columns: int = 5) -> None:
    """A picture of the film every few seconds."""
    tiles = [cv2.resize(frame, (480, 270), interpolation=cv2.INTER_AREA) for frame in pictures(film, every_s)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    cv2.imwrite(str(target), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 86])


def pictures(film: Path, every_s: float) -> list[npt.NDArray[np.uint8]]:
    found: list[npt.NDArray[np.uint8]] = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0) >= len(found) * every_s:
                found.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
    return found


def silent_clip(film: Path, target: Path, parts: Sequence[tuple[float, float]] = CLIP_PARTS_S) -> None:
    """A small H.264 clip without sound of some parts of the film. Raises SystemExit when it is too large."""
    with av.open(str(film)) as source, av.open(str(target), "w", options={"movflags": "+faststart"}) as out:
        options = {"preset": "slow", "crf": str(CLIP_CRF)}
        stream = out.add_stream("libx264", rate=CLIP_FPS, options=options)
        video = source.streams.video[0]
        stream.width = CLIP_WIDTH
        stream.height = round(CLIP_WIDTH * video.height / video.width / 2) * 2
        stream.pix_fmt = "yuv420p"
        count = 0
        moments = [
            begin + step / CLIP_FPS for begin, length in parts for step in range(round(length * CLIP_FPS))
        ]
        for frame in source.decode(video):
            while count < len(moments) and (frame.time or 0) >= moments[count] - 1e-6:
                small = frame.reformat(
                    width=stream.width, height=stream.height, format="yuv420p", interpolation="AREA"
                )
                small.pts, small.time_base = count, Fraction(1, CLIP_FPS)
                out.mux(stream.encode(small))
                count += 1
        out.mux(stream.encode(None))
    if target.stat().st_size > MAX_CLIP_BYTES:
        raise SystemExit(f"{target} has {target.stat().st_size} bytes: README shows at most {MAX_CLIP_BYTES}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "out" / "pictures")
    parser.add_argument("--clip", type=Path, default=ROOT / "docs" / "pictures" / "tides.mp4")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    write_wav(out / "tides-music.wav", music())
    chart(out / "tides-chart.png")
    film = out / "tides.mp4"
    # The spec names its files beside it: it is read where they are made.
    (out / "tides.yaml").write_bytes(SPEC.read_bytes())
    avatar = Path(sys.executable).with_name("avatar")
    subprocess.run([avatar, "render", "tides.yaml", film.name], cwd=out, check=True)
    contact_sheet(film, out / "tides-sheet.jpg")
    silent_clip(film, options.clip)
    print(film, options.clip, options.clip.stat().st_size)


if __name__ == "__main__":
    main()
