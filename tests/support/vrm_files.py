"""Makes small VRM avatars of both versions: a head with a mouth, eyes and lids, on a body of boxes."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Vector = tuple[float, float, float]
Edit = Callable[[dict[str, Any]], None]
Version = Literal["0.x", "1.0"]

BONES: dict[str, tuple[str | None, Vector]] = {
    "hips": (None, (0, 0.9, 0)),
    "spine": ("hips", (0, 0.12, 0)),
    "chest": ("spine", (0, 0.15, 0)),
    "neck": ("chest", (0, 0.22, 0)),
    "head": ("neck", (0, 0.09, 0)),
    "leftEye": ("head", (0.038, 0.105, 0.078)),
    "rightEye": ("head", (-0.038, 0.105, 0.078)),
    **{
        f"{side}{name}": (f"{side}{parent}" if parent[0].isupper() else parent, (sign * x, y, 0))
        for side, sign in (("left", 1), ("right", -1))
        for name, parent, (x, y) in (
            ("UpperLeg", "hips", (0.09, -0.05)),
            ("LowerLeg", "UpperLeg", (0, -0.4)),
            ("Foot", "LowerLeg", (0, -0.4)),
            ("UpperArm", "chest", (0.16, 0.17)),
            ("LowerArm", "UpperArm", (0.25, 0)),
            ("Hand", "LowerArm", (0.24, 0)),
        )
    },
}
"""Parent and place of each, of an avatar that looks along +Z (VRM 1.0)."""

NAMES_0 = {
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o", "blink": "blink", "happy": "joy", "angry": "angry",
    "sad": "sorrow", "relaxed": "fun",
}  # fmt: skip
SKIN, HAIR, WHITE, DARK, LIPS, CLOTH = (
    (0.94, 0.76, 0.65), (0.2, 0.12, 0.1), (0.97, 0.97, 0.97), (0.1, 0.15, 0.3), (0.45, 0.08, 0.1), (1, 1, 1)
)  # fmt: skip


@dataclass
class Shape:
    """Vertices and triangles below a bone; each of `targets` has the places of all vertices."""

    bone: str
    colour: Vector
    points: list[Vector]
    faces: list[tuple[int, int, int]]
    targets: dict[str, list[Vector]] = field(default_factory=dict)


def ball(centre: Vector, radius: Vector, rings: int = 12) -> tuple[list[Vector], list[tuple[int, int, int]]]:
    """Returns an ellipsoid."""
    around = 2 * rings
    points = [
        (
            centre[0] + radius[0] * math.sin(math.pi * r / rings) * math.cos(math.tau * k / around),
            centre[1] + radius[1] * math.cos(math.pi * r / rings),
            centre[2] + radius[2] * math.sin(math.pi * r / rings) * math.sin(math.tau * k / around),
        )
        for r in range(rings + 1)
        for k in range(around)
    ]
    faces = []
    for r in range(rings):
        for k in range(around):
            a, b = r * around + k, r * around + (k + 1) % around
            faces += [(a, b, a + around), (b, b + around, a + around)]
    return points, faces


def _shapes() -> list[Shape]:
    mouth = ((0, 0.035, 0.093), (0.026, 0.0035, 0.008))
    opened = {
        "aa": (0.026, 0.024), "ih": (0.032, 0.01), "ou": (0.012, 0.012), "ee": (0.034, 0.014),
        "oh": (0.018, 0.02),
    }  # fmt: skip
    mouths = {
        name: ball((0, 0.035 - 0.6 * height, 0.093), (width, height, 0.008))[0]
        for name, (width, height) in opened.items()
    }
    smile = [(x, y + 6 * x * x, z) for x, y, z in ball(*mouth)[0]]
    shapes = [
        Shape("head", SKIN, *ball((0, 0.09, 0.01), (0.082, 0.115, 0.092), 20)),
        Shape("head", HAIR, *ball((0, 0.125, -0.012), (0.092, 0.098, 0.092), 20)),
        Shape("head", LIPS, *ball(*mouth), targets={**mouths, "happy": smile, "relaxed": smile}),
        Shape("neck", SKIN, *ball((0, 0.03, 0), (0.042, 0.1, 0.042))),
        Shape("chest", CLOTH, *ball((0, 0.06, 0), (0.17, 0.2, 0.1))),
    ]
    for side, sign in (("left", 1), ("right", -1)):
        eye = (sign * 0.038, 0.105, 0.087)
        shut = ball(eye, (0.021, 0.017, 0.017))[0]
        above = ball((eye[0], eye[1] + 0.018, eye[2] - 0.006), (0.021, 0.004, 0.014))
        brow = ball((eye[0], eye[1] + 0.034, eye[2] + 0.004), (0.02, 0.0035, 0.006))
        sad = [(x, y - 0.25 * sign * (x - eye[0]), z) for x, y, z in brow[0]]
        shapes += [
            Shape("head", WHITE, *ball(eye, (0.02, 0.014, 0.014))),
            Shape(f"{side}Eye", DARK, *ball((0, 0, 0.022), (0.008, 0.009, 0.004))),
            Shape("head", SKIN, *above, targets={"blink": shut}),
            Shape("head", HAIR, *brow, targets={"sad": sad}),
            Shape(f"{side}UpperArm", CLOTH, *ball((sign * 0.12, 0, 0), (0.15, 0.05, 0.05))),
            Shape(f"{side}LowerArm", SKIN, *ball((sign * 0.12, 0, 0), (0.14, 0.035, 0.035))),
        ]
    return shapes


def png(width: int, height: int, colours: Sequence[bytes]) -> bytes:
    """Returns a picture in stripes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + colours[y * len(colours) // height] * width for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


class _Builder:
    def __init__(self, version: Version) -> None:
        self.version = version
        self.sign = 1 if version == "1.0" else -1
        self.binary = bytearray()
        self.gltf: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scene": 0, "bufferViews": [], "accessors": [], "meshes": [],
            "materials": [], "images": [], "textures": [],
        }  # fmt: skip

    def view(self, data: bytes) -> int:
        self.binary += bytes(-len(self.binary) % 4)
        self.gltf["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        )
        self.binary += data
        return len(self.gltf["bufferViews"]) - 1

    def accessor(self, values: Sequence[Sequence[float]], kind: str, code: str, component: int) -> int:
        flat = [one for value in values for one in value]
        entry: dict[str, Any] = {
            "bufferView": self.view(struct.pack(f"<{len(flat)}{code}", *flat)),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if kind == "VEC3":
            entry |= {"min": [min(axis) for axis in zip(*values, strict=True)]}
            entry |= {"max": [max(axis) for axis in zip(*values, strict=True)]}
        self.gltf["accessors"].append(entry)
        return len(self.gltf["accessors"]) - 1

    def place(self, point: Vector) -> Vector:
        """Returns the point of an avatar that looks along -Z, for VRM 0.x."""
        return (self.sign * point[0], point[1], self.sign * point[2])

    def mesh(self, shape: Shape) -> int:
        points = [self.place(one) for one in shape.points]
        centre = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
        normals = [_unit([a - b for a, b in zip(one, centre, strict=True)]) for one in points]
        primitive: dict[str, Any] = {
            "attributes": {
                "POSITION": self.accessor(points, "VEC3", "f", 5126),
                "NORMAL": self.accessor(normals, "VEC3", "f", 5126),
                "TEXCOORD_0": self.accessor([(one[0], -one[1]) for one in points], "VEC2", "f", 5126),
            },
            "indices": self.accessor([(one,) for face in shape.faces for one in face], "SCALAR", "H", 5123),
            "material": self.material(shape),
        }
        if shape.targets:
            primitive["targets"] = [
                {
                    "POSITION": self.accessor(
                        [_minus(self.place(a), b) for a, b in zip(target, points, strict=True)],
                        "VEC3", "f", 5126,
                    )
                }
                for target in shape.targets.values()
            ]  # fmt: skip
        self.gltf["meshes"].append({"primitives": [primitive]})
        return len(self.gltf["meshes"]) - 1

    def material(self, shape: Shape) -> int:
        base: dict[str, Any] = {"baseColorFactor": [*shape.colour, 1]}
        if shape.colour == CLOTH:
            base["baseColorTexture"] = {"index": 0}
        material: dict[str, Any] = {
            "pbrMetallicRoughness": {**base, "metallicFactor": 0, "roughnessFactor": 0.9},
            "doubleSided": True,
        }
        if shape.colour == HAIR and self.version == "1.0":
            material["extensions"] = {
                "VRMC_materials_mtoon": {"specVersion": "1.0", "shadeColorFactor": [0.1, 0.06, 0.05]}
            }
        self.gltf["materials"].append(material)
        return len(self.gltf["materials"]) - 1


def vrm_file(version: Version = "1.0", edit: Edit | None = None, **licence: Any) -> bytes:
    """Returns an avatar that everybody may use; `edit` changes its JSON, `licence` its meta."""
    builder = _Builder(version)
    gltf = builder.gltf
    gltf["images"] = [
        {
            "bufferView": builder.view(png(8, 8, [b"\x2c\x5f\x8a", b"\x35\x70\xa0"] * 2)),
            "mimeType": "image/png",
        },
        {
            "bufferView": builder.view(png(64, 64, [b"\xf0\xc2\xa6", b"\x2c\x5f\x8a"])),
            "mimeType": "image/png",
        },
    ]
    gltf["textures"] = [{"source": 0}, {"source": 1}]
    names = list(BONES)
    nodes: list[dict[str, Any]] = [
        {"name": name, "translation": builder.place(place), "children": []}
        for name, (_, place) in BONES.items()
    ]
    for name, (parent, _) in BONES.items():
        if parent is not None:
            nodes[names.index(parent)]["children"].append(names.index(name))
    moved: dict[str, list[tuple[int, int, int]]] = {}
    for shape in _shapes():
        mesh = builder.mesh(shape)
        nodes[names.index(shape.bone)]["children"].append(len(nodes))
        for index, target in enumerate(shape.targets):
            moved.setdefault(target, []).append((len(nodes), mesh, index))
        nodes.append({"mesh": mesh})
    gltf["nodes"] = [{key: value for key, value in node.items() if value != []} for node in nodes]
    gltf["scenes"] = [{"nodes": [names.index("hips")]}]
    bones = {name: names.index(name) for name in names}
    gltf["extensions"] = (
        {"VRMC_vrm": _vrm_1(bones, moved, licence)}
        if version == "1.0"
        else {"VRM": _vrm_0(bones, moved, licence)}
    )
    gltf["extensionsUsed"] = [*gltf["extensions"], *(["VRMC_materials_mtoon"] if version == "1.0" else [])]
    gltf["buffers"] = [{"byteLength": len(builder.binary)}]
    if edit is not None:
        edit(gltf)
    return glb(gltf, bytes(builder.binary))


def glb(gltf: dict[str, Any] | bytes, binary: bytes) -> bytes:
    """Returns binary glTF of a JSON and a binary chunk."""
    text = gltf if isinstance(gltf, bytes) else json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    return (
        struct.pack("<4sII", b"glTF", 2, length)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(binary), b"BIN\0")
        + binary
    )


def _vrm_1(
    bones: dict[str, int], moved: dict[str, list[tuple[int, int, int]]], licence: dict[str, Any]
) -> dict[str, Any]:
    meta = {
        "name": "Test avatar", "authors": ["A test"], "licenseUrl": "https://vrm.dev/licenses/1.0/",
        "avatarPermission": "everyone", "commercialUsage": "corporation", "thumbnailImage": 1,
        "creditNotation": "unnecessary", **licence,
    }  # fmt: skip
    preset = {
        name: {"morphTargetBinds": [{"node": node, "index": index, "weight": 1} for node, _, index in binds]}
        for name, binds in moved.items()
    }
    around = {"inputMaxValue": 90, "outputScale": 90}
    ways = ("HorizontalInner", "HorizontalOuter", "VerticalDown", "VerticalUp")
    return {
        "specVersion": "1.0",
        "meta": meta,
        "humanoid": {"humanBones": {name: {"node": node} for name, node in bones.items()}},
        "expressions": {"preset": preset},
        "lookAt": {
            "type": "bone",
            "offsetFromHeadBone": [0, 0.1, 0],
            **{f"rangeMap{way}": around for way in ways},
        },
    }


def _vrm_0(
    bones: dict[str, int], moved: dict[str, list[tuple[int, int, int]]], licence: dict[str, Any]
) -> dict[str, Any]:
    meta = {
        "title": "Test avatar", "author": "A test", "texture": 1, "allowedUserName": "Everyone",
        "commercialUssageName": "Allow", "licenseName": "CC0", **licence,
    }  # fmt: skip
    groups = [
        {
            "name": name,
            "presetName": NAMES_0[name],
            "binds": [{"mesh": mesh, "index": index, "weight": 100} for _, mesh, index in binds],
        }
        for name, binds in moved.items()
    ]
    around = {"curve": [0, 0, 0, 1, 1, 1, 1, 0], "xRange": 90, "yRange": 90}
    ways = ("HorizontalInner", "HorizontalOuter", "VerticalDown", "VerticalUp")
    return {
        "meta": meta,
        "humanoid": {"humanBones": [{"bone": name, "node": node} for name, node in bones.items()]},
        "blendShapeMaster": {"blendShapeGroups": groups},
        "firstPerson": {"lookAtTypeName": "Bone", **{f"lookAt{way}": around for way in ways}},
        "materialProperties": [],
    }


def _minus(one: Vector, other: Vector) -> Vector:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])


def _unit(vector: Sequence[float]) -> Vector:
    length = math.sqrt(sum(one * one for one in vector)) or 1.0
    return (vector[0] / length, vector[1] / length, vector[2] / length)
