"""Draws one thumbnail: `python -I draw.py PICTURE WIDTH` writes WebP to standard output.

Runs as a process of its own with limits on memory and processor time, because pictures come from strangers.
It imports nothing of ours, so that it starts in a tenth of a second.
"""

import io
import resource
import sys
from pathlib import Path

MAX_PIXELS = 40_000_000
MEMORY_BYTES = 1 << 30
PROCESSOR_S = 10
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
TOO_LARGE, UNREADABLE = 3, 4
SMALL_WIDTH = 320
SMALL_BYTES = 30_000
QUALITIES = (75, 60, 45, 30, 15)


def draw(source: Path, width: int) -> bytes:
    """Return the picture upright, at most `width` wide and never larger than it was, as WebP. Pictures for
    lists (up to 320 wide) stay below 30 000 bytes. Raises ValueError for more than `MAX_PIXELS`.
    """
    # Not above: the server reads only the limits from here.
    from PIL import Image, ImageOps

    # Its own check would come before the draft, which makes a large JPEG small.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(source, formats=FORMATS) as opened:
        # A JPEG is decoded at a fraction of its size.
        opened.draft("RGB", (width * 2, width * 2))
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        upright = ImageOps.exif_transpose(opened)
        has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
        picture = upright.convert("RGBA" if has_alpha else "RGB")
    # A very tall picture is bounded in height, too.
    picture.thumbnail((width, width * 4), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        written = io.BytesIO()
        picture.save(written, "WEBP", quality=quality, method=4)
        if width > SMALL_WIDTH or written.tell() < SMALL_BYTES:
            break
    return written.getvalue()


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    try:
        drawn = draw(Path(sys.argv[1]), int(sys.argv[2]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return TOO_LARGE if "pixels" in str(error) else UNREADABLE
    # The library raises what its decoders raise: of a stranger's file anything.
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return UNREADABLE
    sys.stdout.buffer.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
