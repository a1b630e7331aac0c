"""Says by the first bytes what a file is; used for every upload, because names and headers are only
claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundstage.errors import Invalid

SNIFF_BYTES = 4096

Family = Literal["image", "video", "audio", "motion", "model"]


_FAMILIES: tuple[Family, ...] = ("image", "audio", "model")


@dataclass(frozen=True, slots=True)
class FileType:
    media_type: str

    @property
    def family(self) -> Family:
        """motion: a template of what a driving face did; model: an avatar."""
        family = self.media_type.partition("/")[0]
        if family == "application":
            return "motion"
        return next((one for one in _FAMILIES if one == family), "video")


JPEG = FileType("image/jpeg")
PNG = FileType("image/png")
GIF = FileType("image/gif")
WEBP = FileType("image/webp")
HEIC = FileType("image/heic")
AVIF = FileType("image/avif")
TIFF = FileType("image/tiff")
BMP = FileType("image/bmp")
MP4 = FileType("video/mp4")
MOV = FileType("video/quicktime")
WEBM = FileType("video/webm")
MATROSKA = FileType("video/x-matroska")
AVI = FileType("video/x-msvideo")
MPEG_TS = FileType("video/mp2t")
M4A = FileType("audio/mp4")
WAV = FileType("audio/wav")
MP3 = FileType("audio/mpeg")
AAC = FileType("audio/aac")
FLAC = FileType("audio/flac")
OGG = FileType("audio/ogg")
OGV = FileType("video/ogg")
NPZ = FileType("application/x-npz")
JSON = FileType("application/json")
GLB = FileType("model/gltf-binary")

_STARTS: tuple[tuple[bytes, FileType], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"fLaC", FLAC),
    (b"ID3", MP3),
    (b"glTF", GLB),
)

_BRANDS: dict[bytes, FileType] = {
    b"heic": HEIC,
    b"heix": HEIC,
    b"heim": HEIC,
    b"heis": HEIC,
    b"hevc": HEIC,
    b"mif1": HEIC,
    b"msf1": HEIC,
    b"avif": AVIF,
    b"avis": AVIF,
    b"qt  ": MOV,
    b"M4A ": M4A,
    b"M4B ": M4A,
}


def sniff(head: bytes) -> FileType:
    """`head` is the first SNIFF_BYTES. Raises `upload.empty` and `upload.unknown_type`."""
    if not head:
        raise Invalid("upload.empty", "The uploaded file is empty.", "Choose the file again.")
    found = _by_start(head) or _riff(head) or _iso_media(head) or _motion(head) or _other(head)
    if found is None:
        raise Invalid(
            "upload.unknown_type",
            "This is not a picture, video, sound, motion template or avatar that can be used here.",
            "Send JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF or BMP; MP4, MOV, WebM, MKV, AVI or TS; "
            "WAV, MP3, M4A, AAC, FLAC or OGG; NPZ or JSON as `avatar reenact --save-template` writes it; "
            "VRM (binary glTF).",
        )
    return found


def _by_start(head: bytes) -> FileType | None:
    return next((known for start, known in _STARTS if head.startswith(start)), None)


def _riff(head: bytes) -> FileType | None:
    if head[:4] not in (b"RIFF", b"RF64"):
        return None
    return {b"WEBP": WEBP, b"WAVE": WAV, b"AVI ": AVI}.get(head[8:12])


def _iso_media(head: bytes) -> FileType | None:
    """ISO 14496-12: a size, then `ftyp` and the major brand. Old QuickTime files start with other boxes."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], MP4)
    return MOV if head[4:8] in (b"moov", b"mdat", b"wide", b"free") and len(head) >= 16 else None


def _motion(head: bytes) -> FileType | None:
    """A zip archive (APPNOTE 4.3.7) that begins with an array of NumPy's, or a table that tells its rate."""
    if head.startswith(b"PK\3\4"):
        length = int.from_bytes(head[26:28], "little")
        return NPZ if head[30 : 30 + length].endswith(b".npy") else None
    return JSON if head.lstrip().startswith(b"{") and b'"version"' in head and b'"fps"' in head else None


def _other(head: bytes) -> FileType | None:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head.startswith(b"OggS"):
        return OGV if b"theora" in head[:128] else OGG
    if (
        head.startswith(b"BM")
        and len(head) > 26
        and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
    ):
        return BMP
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return MPEG_TS
    if len(head) > 4 and head[0] == 0xFF and (head[1] & 0xE0) == 0xE0:
        return _mpeg_audio(head)
    return None


def _mpeg_audio(head: bytes) -> FileType | None:
    """Frame header of MPEG audio (ISO 11172-3) or ADTS (ISO 13818-7): reserved values rule out chance
    hits.
    """
    if (head[1] & 0xF6) == 0xF0:
        return AAC
    layer, bitrate, rate = (head[1] >> 1) & 3, head[2] >> 4, (head[2] >> 2) & 3
    return MP3 if layer != 0 and bitrate not in (0, 15) and rate != 3 else None
