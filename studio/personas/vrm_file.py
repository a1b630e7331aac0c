"""Checks a VRM file (glTF 2.0 binary with `VRM` or `VRMC_vrm`) by its bytes; nothing of it is executed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from soundstage.errors import Invalid, TooLarge
from soundstage.views import read_view
from studio.personas.gltf import Gltf, View, bad_structure
from studio.personas.vrm import VrmReport
from studio.personas.vrm_meta import read_vrm

MAX_JSON_BYTES = 8 << 20
MAX_SEGMENTS = 1000
"""Of a JPEG before its size; a colour profile has 255 at most."""
MAX_SIDE_PX = 8192
MAX_PIXELS = 128 << 20
"""Of all its pictures: four bytes a pixel of the memory of a card."""
MAX_DECODED_BYTES = 256 << 20
"""Of all accessors: several may read the same bytes, and those without bytes are zeros."""
MAX_TRIANGLES = 2_000_000
SUPPORTED = (
    "VRM",
    "VRMC_",
    "KHR_materials_",
    "KHR_texture_transform",
    "KHR_mesh_quantization",
    "KHR_lights_punctual",
)
"""How the names of extensions begin that the viewer reads without a decoder of its own."""
DECODED = frozenset({"KHR_draco_mesh_compression"})
"""Refused by the viewer also where a file could do without."""

_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_HINT = "Export it again as VRM 1.0, for example with UniVRM or VRoid Studio."


@dataclass(frozen=True, slots=True)
class VrmContent:
    """`thumbnail`: media type and bytes of the picture that the file has of itself."""

    report: VrmReport
    thumbnail: tuple[str, bytes] | None


def read_vrm_file(path: Path, max_bytes: int) -> VrmContent:
    """Returns what a file holds; called in a thread.

    Raises TooLarge `vrm.too_large` and Invalid `vrm.not_glb`, `vrm.bad_chunks`, `vrm.bad_json`,
    `vrm.bad_structure`, `vrm.no_extension`, `vrm.unsupported_extension`, `vrm.external_uri`,
    `vrm.out_of_bounds`, `vrm.bad_image`, `vrm.image_too_large`, `vrm.too_complex` and `vrm.missing_bones`.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise TooLarge(
            "vrm.too_large",
            f"The avatar has {size / (1 << 20):.0f} MiB; the limit is {max_bytes >> 20} MiB.",
            "Use smaller textures, or raise `limits.vrm_mib`.",
        )
    with path.open("rb") as file:
        text, binary = _chunks(file, size)
        gltf = _parse(text)
        checked = _Checked(gltf, file, *binary)
        checked.check()
        vrm = read_vrm(gltf)
        return VrmContent(
            read_view(
                VrmReport,
                vrm,
                needs_confirmation=vrm.licence.is_restricted,
                triangles=checked.triangles,
                has_picture=vrm.thumbnail is not None,
            ),
            None if vrm.thumbnail is None else checked.read_image(vrm.thumbnail),
        )


def _chunks(file: BinaryIO, size: int) -> tuple[bytes, tuple[int, int]]:
    """Returns the JSON, and where the binary chunk begins and how long it is (glTF 2.0, 4.4)."""
    header = file.read(12)
    if len(header) < 12 or header[:4] != b"glTF":
        raise Invalid("vrm.not_glb", "This is no VRM file: it does not begin as binary glTF does.", _HINT)
    version, length = struct.unpack("<II", header[4:])
    if version != 2:
        raise Invalid("vrm.not_glb", f"It is binary glTF of version {version}; VRM needs 2.", _HINT)
    if length != size:
        raise _bad_chunks(f"it has {size} bytes, and its header says {length}")
    text, place = b"", 12
    binary = (0, 0)
    while place < size:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            raise _bad_chunks("it ends within the head of a chunk")
        chunk, kind = struct.unpack("<II", head)
        place += 8
        if chunk > size - place:
            raise _bad_chunks("a chunk is longer than the rest of the file")
        if not text:
            if kind != _JSON or chunk == 0:
                raise _bad_chunks("its first chunk is not JSON")
            if chunk > MAX_JSON_BYTES:
                raise _too_complex(f"{chunk >> 20} MiB of JSON", f"{MAX_JSON_BYTES >> 20} MiB")
            text = file.read(chunk)
        elif kind == _BIN and binary == (0, 0):
            binary = (place, chunk)
        place += chunk
    if not text:
        raise _bad_chunks("it has no chunk")
    return text, binary


def _parse(text: bytes) -> Gltf:
    try:
        return Gltf.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(one) for one in first["loc"])[:120]
        if first["type"] == "json_invalid":
            raise Invalid("vrm.bad_json", f"Its JSON cannot be read: {first['msg'][:200]}.", _HINT) from None
        if first["type"] == "too_long":
            raise Invalid(
                "vrm.too_complex", f"Its list {where!r} is too long: {first['msg'][:200]}.", _HINT
            ) from None
        raise bad_structure(f"{where}: {first['msg'][:200]}") from None


class _Checked:
    """Walks through one file; `begin` and `length` are those of its binary chunk."""

    def __init__(self, gltf: Gltf, file: BinaryIO, begin: int, length: int) -> None:
        self._gltf = gltf
        self._file = file
        self._begin = begin
        self._length = length
        self.triangles = 0

    def check(self) -> None:
        gltf = self._gltf
        self._check_extensions()
        for number, buffer in enumerate(gltf.buffers):
            if buffer.uri is not None:
                raise _external(f"the buffer {number}")
            # Only the first one is in the file; padding of up to three bytes may follow it.
            if number > 0 or buffer.byte_length > self._length:
                raise _out_of_bounds(f"The buffer {number}", "the binary chunk")
        for number, view in enumerate(gltf.buffer_views):
            buffers = gltf.buffers
            if view.buffer >= len(buffers) or view.end > buffers[view.buffer].byte_length:
                raise _out_of_bounds(f"The buffer view {number}", "its buffer")
        self._check_accessors()
        self._check_images()
        self._check_nodes()
        self._check_meshes()

    def read_image(self, number: int) -> tuple[str, bytes]:
        image = self._gltf.images[number]
        view = self._view(image.buffer_view, f"The image {number}")
        return image.mime_type or "", self._read(view, 0, view.byte_length)

    def _check_extensions(self) -> None:
        gltf = self._gltf
        unknown = [one for one in gltf.extensions_required if not one.startswith(SUPPORTED)]
        unknown += [one for one in gltf.extensions_used if one in DECODED]
        if unknown:
            raise Invalid(
                "vrm.unsupported_extension",
                f"It needs the extension {unknown[0][:80]}, which is not supported.",
                "Export it without compression of meshes and textures.",
            )

    def _check_accessors(self) -> None:
        decoded = 0
        for number, accessor in enumerate(self._gltf.accessors):
            what = f"The accessor {number}"
            size = _COMPONENTS[accessor.type] * _COMPONENT_BYTES[accessor.component_type]
            decoded += size * accessor.count
            if accessor.buffer_view is not None:
                self._check_fit(what, accessor.buffer_view, accessor.byte_offset, size, accessor.count)
            if (sparse := accessor.sparse) is not None:
                if sparse.count > accessor.count:
                    raise _out_of_bounds(what, "its own count")
                indices, values = sparse.indices, sparse.values
                index_size = _COMPONENT_BYTES[indices.component_type]
                self._check_fit(what, indices.buffer_view, indices.byte_offset, index_size, sparse.count)
                self._check_fit(what, values.buffer_view, values.byte_offset, size, sparse.count)
        if decoded > MAX_DECODED_BYTES:
            raise _too_complex(f"{decoded >> 20} MiB of numbers", f"{MAX_DECODED_BYTES >> 20} MiB")

    def _check_fit(self, what: str, place: int, offset: int, size: int, count: int) -> None:
        view = self._view(place, what)
        stride = view.byte_stride or size
        if offset + stride * (count - 1) + size > view.byte_length:
            raise _out_of_bounds(what, "its buffer view")

    def _check_images(self) -> None:
        pixels = 0
        for number, image in enumerate(self._gltf.images):
            if image.uri is not None:
                raise _external(f"the image {number}")
            view = self._view(image.buffer_view, f"The image {number}")
            width, height = _size_of(image.mime_type, partial(self._read, view), number)
            pixels += width * height
            if max(width, height) > MAX_SIDE_PX or pixels > MAX_PIXELS:
                raise Invalid(
                    "vrm.image_too_large",
                    f"Its image {number} has {width} × {height} pixels; a side may have {MAX_SIDE_PX}, "
                    f"and all images together {MAX_PIXELS >> 20} million.",
                    "Make its textures smaller.",
                )

    def _check_nodes(self) -> None:
        """The viewer follows children without end: each node has one parent at most, and no cycle."""
        gltf = self._gltf
        count = len(gltf.nodes)
        parents: dict[int, int] = {}
        for number, node in enumerate(gltf.nodes):
            _check_indexes(f"the node {number}", "node", node.children, count)
            _check_indexes(f"the node {number}", "mesh", _one(node.mesh), len(gltf.meshes))
            _check_indexes(f"the node {number}", "skin", _one(node.skin), len(gltf.skins))
            for child in node.children:
                if parents.setdefault(child, number) != number:
                    raise bad_structure(f"the node {child} has two parents")
        settled: set[int] = set()
        for first in range(count):
            path: set[int] = set()
            current: int | None = first
            while current is not None and current not in settled:
                if current in path:
                    raise bad_structure(f"the node {current} is its own ancestor")
                path.add(current)
                current = parents.get(current)
            settled |= path
        for scene in gltf.scenes:
            _check_indexes("a scene", "node", scene.nodes, count)
        if not gltf.scenes:
            raise bad_structure("it has no scene")
        for number, skin in enumerate(gltf.skins):
            _check_indexes(f"the skin {number}", "node", skin.joints, count)
            _check_indexes(
                f"the skin {number}", "accessor", _one(skin.inverse_bind_matrices), len(gltf.accessors)
            )

    def _check_meshes(self) -> None:
        accessors = self._gltf.accessors
        for number, mesh in enumerate(self._gltf.meshes):
            what = f"the mesh {number}"
            for primitive in mesh.primitives:
                vertices = [primitive.attributes, *primitive.targets]
                used = [one for part in vertices for one in part.values()]
                _check_indexes(what, "accessor", [*used, *_one(primitive.indices)], len(accessors))
                if "POSITION" not in primitive.attributes:
                    raise bad_structure(f"{what} has no positions")
                count = accessors[primitive.attributes["POSITION"]].count
                if any(accessors[one].count != count for one in used):
                    raise bad_structure(f"{what} has attributes of different lengths")
                indices = count if primitive.indices is None else accessors[primitive.indices].count
                self.triangles += indices // 3
        if self.triangles > MAX_TRIANGLES:
            raise _too_complex(f"{self.triangles} triangles", str(MAX_TRIANGLES))

    def _view(self, place: int | None, what: str) -> View:
        views = self._gltf.buffer_views
        if place is None or place >= len(views):
            raise bad_structure(f"{what.lower()} names no buffer view that is there")
        return views[place]

    def _read(self, view: View, offset: int, length: int) -> bytes:
        self._file.seek(self._begin + view.byte_offset + offset)
        return self._file.read(max(0, min(length, view.byte_length - offset)))


def _check_indexes(what: str, kind: str, indexes: Iterable[int], count: int) -> None:
    for index in indexes:
        if index >= count:
            raise bad_structure(f"{what} names the {kind} {index}, and there are {count}")


def _one(index: int | None) -> tuple[int, ...]:
    return () if index is None else (index,)


def _size_of(mime_type: str | None, read: Callable[[int, int], bytes], number: int) -> tuple[int, int]:
    """Returns width and height of a PNG (RFC 2083) or JPEG (ITU-T T.81, B.2.2) by its header."""
    head = read(0, 24)
    if mime_type == "image/png" and head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        width, height = struct.unpack(">II", head[16:24])
        if width > 0 < height:
            return width, height
    if mime_type == "image/jpeg" and head.startswith(b"\xff\xd8"):
        place = 2
        for _ in range(MAX_SEGMENTS):
            segment = read(place, 9)
            if len(segment) < 9 or segment[0] != 0xFF:
                break
            marker, length = segment[1], int.from_bytes(segment[2:4], "big")
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", segment[5:9])
                if width > 0 < height:
                    return width, height
                break
            if marker == 0xDA or length < 2:
                break
            place += 2 + length
    raise Invalid(
        "vrm.bad_image",
        f"Its image {number} is no PNG or JPEG, or not what it says.",
        "Export the avatar with PNG or JPEG textures.",
    )


def _bad_chunks(why: str) -> Invalid:
    return Invalid("vrm.bad_chunks", f"The file is not whole: {why}.", "Upload it again, or export it again.")


def _external(what: str) -> Invalid:
    return Invalid(
        "vrm.external_uri",
        f"In it {what} is an address; an avatar holds all of its parts.",
        "Export it as one binary file (.vrm).",
    )


def _out_of_bounds(what: str, where: str) -> Invalid:
    return Invalid("vrm.out_of_bounds", f"{what} of the file reaches beyond {where}.", _HINT)


def _too_complex(found: str, limit: str) -> Invalid:
    return Invalid(
        "vrm.too_complex",
        f"The avatar has {found}; the limit is {limit}.",
        "Reduce its meshes and blend shapes.",
    )
