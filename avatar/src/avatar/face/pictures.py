"""Reads picture files as people have them into upright 8-bit sRGB pixels; for portraits and compose."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from avatar.errors import InvalidInput, Unavailable
from avatar.face.landmarks import Picture

MAX_PIXELS = 80_000_000
"""Below Pillow's own decompression-bomb warning; an 8000 x 8000 photo still fits."""
MAX_BYTES = 200 * 2**20
MAX_SIDE_PX = 4096
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "HEIF", "AVIF")
"""Pillow knows more, and hands some of them (EPS) to other programs."""
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")


def read_picture(path: Path, *, max_side_px: int = MAX_SIDE_PX) -> Picture:
    """The picture: uint8 (h, w, 3) BGR, or (h, w, 4) BGRA with straight alpha where it has transparency.

    Turned upright by its EXIF mark, brought to sRGB, 16 bits cut to 8, first frame of an animation, scaled
    down so that no side is longer than `max_side_px`.
    Raises InvalidInput picture.missing, picture.empty, picture.unreadable, picture.truncated and
    picture.too_large, and Unavailable picture.heic_unavailable.
    """
    if not path.is_file():
        raise InvalidInput("picture.missing", f"There is no picture at {path.name}.", "Check the path.")
    size = path.stat().st_size
    if size == 0:
        raise InvalidInput(
            "picture.empty", f"The picture {path.name} is empty (0 bytes).", "Upload it again."
        )
    if size > MAX_BYTES:
        raise InvalidInput(
            "picture.too_large",
            f"The picture {path.name} has {size / 2**20:.0f} MiB; the limit is {MAX_BYTES // 2**20} MiB.",
            "Save it smaller, for example as JPEG.",
        )
    _enable_heif(path)
    try:
        with _opened(path) as image:
            if image.format not in _FORMATS:
                raise _unreadable(path)
            _check_pixels(image, path)
            if image.format == "JPEG":  # decodes a huge JPEG at 1/2, 1/4 or 1/8 of its size straight away
                image.draft(image.mode if image.mode in ("L", "RGB") else None, (max_side_px, max_side_px))
            upright = _to_srgb8(image)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(path, _pixels_in(error)) from error
    except UnidentifiedImageError as error:
        raise _unreadable(path) from error
    except (OSError, SyntaxError, EOFError, IndexError, ValueError) as error:
        # What Pillow's decoders raise for damaged files differs by format; each means the same to people.
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise InvalidInput(
                "picture.truncated", f"The picture {path.name} ends too early.", "Copy or upload it again."
            ) from error
        raise _unreadable(path) from error
    upright.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    return _to_bgr(upright)


def is_picture(path: Path) -> bool:
    """Returns whether this is a file for `read_picture`, by its first bytes."""
    _enable_heif(path)
    try:
        with _opened(path) as image:
            return image.format in _FORMATS
    except Image.DecompressionBombError:
        return True
    except (OSError, SyntaxError, ValueError):
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Without the warning that Pillow prints for pictures which `_check_pixels` refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(path)
    with image:
        yield image


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of the upright picture at its full size. Decodes it, and raises as `read_picture`."""
    upright = read_picture(path)
    with Image.open(path) as image:
        long, short = max(image.size), min(image.size)
    return (long, short) if upright.shape[1] > upright.shape[0] else (short, long)


def _unreadable(path: Path) -> InvalidInput:
    return InvalidInput(
        "picture.unreadable",
        f"{path.name} is not a picture that can be read.",
        "JPEG, PNG, WebP, HEIC, GIF and TIFF work.",
    )


def _enable_heif(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:12] not in _HEIC_BRANDS:
        return
    try:
        import pi_heif
    except ImportError as error:
        raise Unavailable(
            "picture.heic_unavailable",
            "HEIC pictures need the package pi-heif.",
            "Install the `cpu` extra or save the picture as JPEG.",
        ) from error
    pi_heif.register_heif_opener()


def _check_pixels(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(path, f"{width} x {height}")


def _too_many_pixels(path: Path, how_many: str) -> InvalidInput:
    return InvalidInput(
        "picture.too_large",
        f"{path.name} has {how_many} pixels; the limit is {MAX_PIXELS // 10**6} million.",
        "Scale it down; 2000 pixels on the longer side are plenty.",
    )


def _pixels_in(error: Image.DecompressionBombError) -> str:
    """Pillow refuses the largest before it tells their sides, and says the product in its message."""
    found = re.search(r"\d+", str(error))
    return f"{int(found[0]) // 10**6} million" if found else "too many"


def _to_srgb8(image: Image.Image) -> Image.Image:
    """Upright, 8 bits, RGB or RGBA."""
    image.load()
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        return _from_deep_grey(upright)
    has_alpha = upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info
    if profile and upright.mode in ("RGB", "CMYK", "L"):
        upright = _apply_profile(upright, profile)
    return upright.convert("RGBA" if has_alpha else "RGB")


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    from io import BytesIO

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image  # a broken or mismatched profile: the plain colours are the best guess
    return converted or image


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greyscale: Pillow's own conversion would clip instead of scaling."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = float(values.max(initial=0.0))
    if image.mode == "F" and top <= 1.0:
        full = 1.0
    elif image.mode in ("I", "F") and top <= 255:
        full = 255.0
    else:
        full = max(top, 65535.0)
    return Image.fromarray(np.clip(values / full * 255 + 0.5, 0, 255).astype(np.uint8)).convert("RGB")


def _to_bgr(image: Image.Image) -> Picture:
    pixels = np.asarray(image, dtype=np.uint8)
    if image.mode == "RGBA":
        if int(pixels[..., 3].min(initial=255)) == 255:
            return np.ascontiguousarray(pixels[..., 2::-1])
        return np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])
    return np.ascontiguousarray(pixels[..., ::-1])
