"""Pictures as people have them come in upright, 8 bits, BGR; broken ones are named."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.face.pictures import MAX_PIXELS, is_picture, read_picture
from PIL import Image, ImageCms

FIXTURES = Path(__file__).parent / "fixtures"
RED, BLUE = (200, 30, 20), (20, 30, 200)


@pytest.fixture
def half() -> Image.Image:
    """40 x 20, RGB: left half red, right half blue."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    return image


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def colour(picture: np.ndarray, x: int, y: int) -> tuple[int, ...]:
    """RGB of one pixel."""
    return tuple(int(value) for value in picture[y, x, 2::-1])


def near(a: tuple[int, ...], b: tuple[int, ...], within: int = 12) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) <= within


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_common_formats_come_in_as_bgr(half: Image.Image, tmp_path: Path, suffix: str) -> None:
    picture = read_picture(save(half, tmp_path / f"half{suffix}"))
    assert picture.shape == (20, 40, 3) and picture.dtype == np.uint8
    assert near(colour(picture, 5, 10), RED) and near(colour(picture, 35, 10), BLUE)


@pytest.mark.parametrize("orientation, red_at", [(1, (2, 10)), (3, (37, 10)), (6, (10, 2)), (8, (10, 37))])
def test_the_exif_mark_turns_the_picture_upright(
    half: Image.Image, tmp_path: Path, orientation: int, red_at: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_picture(save(half, tmp_path / "turned.jpg", exif=exif, quality=95))
    assert picture.shape[:2] == ((20, 40) if orientation in (1, 3) else (40, 20))
    assert near(colour(picture, *red_at), RED, 25)


def test_cmyk_becomes_rgb(half: Image.Image, tmp_path: Path) -> None:
    picture = read_picture(save(half.convert("CMYK"), tmp_path / "print.jpg", quality=95))
    assert near(colour(picture, 5, 10), RED, 20) and near(colour(picture, 35, 10), BLUE, 20)


def test_transparency_is_kept_and_needless_alpha_dropped(half: Image.Image, tmp_path: Path) -> None:
    clear = half.convert("RGBA")
    assert read_picture(save(clear, tmp_path / "opaque.png")).shape == (20, 40, 3)
    clear.putpixel((5, 5), (0, 0, 0, 0))
    picture = read_picture(save(clear, tmp_path / "clear.png"))
    assert picture.shape == (20, 40, 4)
    assert picture[5, 5, 3] == 0 and picture[5, 6, 3] == 255


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED] + [0] * 750)
    image.putpixel((0, 0), 0)
    picture = read_picture(save(image, tmp_path / "icon.png", transparency=0))
    assert picture.shape == (8, 8, 4) and picture[0, 0, 3] == 0 and near(colour(picture, 4, 4), RED)


def test_heic_is_read() -> None:
    picture = read_picture(FIXTURES / "colours.heic")
    assert picture.shape == (64, 96, 3)
    assert near(colour(picture, 10, 10), (40, 60, 200)) and near(colour(picture, 10, 50), (220, 180, 40))


def test_an_animation_gives_its_first_frame(half: Image.Image, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 20), BLUE)] * 2
    picture = read_picture(save(half, tmp_path / "moving.gif", save_all=True, append_images=frames))
    assert near(colour(picture, 5, 10), RED)


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    cv2.imwrite(str(tmp_path / "deep.png"), ramp)
    cv2.imwrite(str(tmp_path / "deep_rgb.png"), np.dstack([ramp] * 3))
    for name in ("deep.png", "deep_rgb.png"):
        picture = read_picture(tmp_path / name)
        assert picture.shape == (4, 256, 3)
        assert abs(int(picture[0, 128, 0]) - 128) <= 1 and picture[0, 255, 0] >= 254


def test_greyscale_gets_three_channels(half: Image.Image, tmp_path: Path) -> None:
    for mode in ("L", "1", "LA"):
        picture = read_picture(save(half.convert(mode), tmp_path / f"{mode}.png"))
        assert picture.shape == (20, 40, 3)
        assert (picture[..., 0] == picture[..., 2]).all()


def test_another_colour_space_is_brought_to_srgb(tmp_path: Path) -> None:
    lab_like = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image = Image.new("RGB", (8, 8), RED)
    good = save(image, tmp_path / "good.png", icc_profile=lab_like.tobytes())
    broken = save(image, tmp_path / "broken.png", icc_profile=b"not a profile")
    assert near(colour(read_picture(good), 4, 4), RED, 2)
    assert near(colour(read_picture(broken), 4, 4), RED, 2)


def test_an_8000_pixel_photo_is_scaled_down(tmp_path: Path) -> None:
    big = save(Image.new("RGB", (8000, 6000), RED), tmp_path / "big.jpg", quality=40)
    assert read_picture(big).shape == (3072, 4096, 3)
    assert read_picture(big, max_side_px=1000).shape == (750, 1000, 3)


def code_of(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_picture(path)
    assert path.name in caught.value.message and caught.value.hint
    return caught.value.code


def test_a_decompression_bomb_is_refused_unread(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 100
    assert code_of(save(Image.new("1", (side, side)), tmp_path / "bomb.png")) == "picture.too_large"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".gif"])
def test_a_truncated_picture_is_named(tmp_path: Path, suffix: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    whole = save(noise, tmp_path / f"whole{suffix}").read_bytes()
    part = tmp_path / f"part{suffix}"
    part.write_bytes(whole[: len(whole) // 2])
    assert code_of(part) in {"picture.truncated", "picture.unreadable"}


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>", bytes(5000), b"\xff\xd8\xff"])
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    assert code_of(path) in {"picture.unreadable", "picture.truncated"}


def test_empty_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert code_of(tmp_path / "empty.png") == "picture.empty"
    assert code_of(tmp_path / "nowhere.png") == "picture.missing"
    assert code_of(tmp_path) == "picture.missing"


def test_a_damaged_heic_is_named(tmp_path: Path) -> None:
    path = tmp_path / "part.heic"
    path.write_bytes((FIXTURES / "colours.heic").read_bytes()[:900])
    assert code_of(path) in {"picture.unreadable", "picture.truncated"}


def test_the_file_name_is_not_trusted(half: Image.Image, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    half.save(buffer, "PNG")
    path = tmp_path / "really a png.jpg"
    path.write_bytes(buffer.getvalue())
    assert read_picture(path).shape == (20, 40, 3)


@pytest.mark.parametrize("side", [10_000, 14_000])
def test_too_many_pixels_are_told_with_their_number_and_the_limit(
    tmp_path: Path, side: int, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (side, side)).save(path)
    with pytest.raises(InvalidInput, match=r"the limit is 80 million") as caught:
        read_picture(path)
    assert caught.value.code == "picture.too_large"
    assert f"{side} x {side}" in caught.value.message or "196 million" in caught.value.message
    assert is_picture(path)
    assert not recwarn.list
