"""Parts of glTF 2.0 and VRM that are read before a file is used (glTF 2.0, chapter 5; vrm.dev)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from soundstage.errors import Invalid

MAX_PARTS = 20_000
"""Of one kind: nodes, accessors, and so on. Avatars have some hundred."""

Index = Annotated[int, Field(ge=0, lt=1 << 32)]
Name = Annotated[str, Field(max_length=200)]
Type = Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]


def bad_structure(why: str) -> Invalid:
    """Returns the error for a part that does not fit the rest."""
    return Invalid(
        "vrm.bad_structure",
        f"The file contradicts itself: {why}.",
        "Export it again, for example with UniVRM or VRoid Studio.",
    )


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class Buffer(_Part):
    byte_length: Index
    uri: str | None = None


class View(_Part):
    buffer: Index
    byte_length: Index
    byte_offset: Index = 0
    byte_stride: Annotated[int, Field(ge=1, le=252)] | None = None

    @property
    def end(self) -> int:
        return self.byte_offset + self.byte_length


class SparseIndices(_Part):
    buffer_view: Index
    byte_offset: Index = 0
    component_type: Literal[5121, 5123, 5125]


class SparseValues(_Part):
    buffer_view: Index
    byte_offset: Index = 0


class Sparse(_Part):
    count: Annotated[int, Field(ge=1, lt=1 << 32)]
    indices: SparseIndices
    values: SparseValues


class Accessor(_Part):
    buffer_view: Index | None = None
    byte_offset: Index = 0
    component_type: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    count: Annotated[int, Field(ge=1, lt=1 << 32)]
    type: Type
    sparse: Sparse | None = None


class Image(_Part):
    uri: str | None = None
    buffer_view: Index | None = None
    mime_type: str | None = None


class Texture(_Part):
    source: int | None = None


class Primitive(_Part):
    attributes: dict[str, Index]
    indices: Index | None = None
    targets: tuple[dict[str, Index], ...] = Field((), max_length=1000)


class Mesh(_Part):
    primitives: tuple[Primitive, ...] = Field(max_length=1000)


class Node(_Part):
    children: tuple[Index, ...] = Field((), max_length=MAX_PARTS)
    mesh: Index | None = None
    skin: Index | None = None


class Skin(_Part):
    joints: tuple[Index, ...] = Field(max_length=MAX_PARTS)
    inverse_bind_matrices: Index | None = None


class Scene(_Part):
    nodes: tuple[Index, ...] = Field((), max_length=MAX_PARTS)


class NamedBone(_Part):
    """Of VRM 0.x; a bone that the avatar does not have may have the node -1."""

    bone: Name
    node: int


class NamedBones(_Part):
    human_bones: tuple[NamedBone, ...] = Field((), max_length=200)


class MeshBind(_Part):
    """Of VRM 0.x."""

    mesh: int
    index: int


class BlendShapeGroup(_Part):
    preset_name: Name = ""
    binds: tuple[MeshBind, ...] | None = Field((), max_length=MAX_PARTS)


class BlendShapeMaster(_Part):
    blend_shape_groups: tuple[BlendShapeGroup, ...] = Field((), max_length=1000)


class Meta0(_Part):
    """The words of VRM 0.x, with its spelling."""

    title: str | None = None
    author: str | None = None
    texture: int | None = None
    allowed_user_name: str | None = None
    commercial_use: str | None = Field(None, alias="commercialUssageName")
    license_name: str | None = None
    other_license_url: str | None = None


class Vrm0(_Part):
    meta: Meta0 = Meta0()
    humanoid: NamedBones = NamedBones()
    blend_shape_master: BlendShapeMaster = BlendShapeMaster()


class Bone(_Part):
    node: Index


class Humanoid(_Part):
    human_bones: dict[Name, Bone] = Field(default_factory=dict, max_length=200)


class NodeBind(_Part):
    node: Index
    index: Index


class Expression(_Part):
    morph_target_binds: tuple[NodeBind, ...] | None = Field((), max_length=MAX_PARTS)


class Expressions(_Part):
    preset: dict[Name, Expression] = Field(default_factory=dict, max_length=200)


class Meta1(_Part):
    name: str | None = None
    authors: tuple[str, ...] | None = Field((), max_length=100)
    copyright_information: str | None = None
    license_url: str | None = None
    other_license_url: str | None = None
    thumbnail_image: Index | None = None
    avatar_permission: str | None = None
    commercial_usage: str | None = None
    credit_notation: str | None = None


class Vrm1(_Part):
    spec_version: str
    meta: Meta1 = Meta1()
    humanoid: Humanoid = Humanoid()
    expressions: Expressions = Expressions()


class Extensions(_Part):
    vrm_0: Vrm0 | None = Field(None, alias="VRM")
    vrm_1: Vrm1 | None = Field(None, alias="VRMC_vrm")


class Gltf(_Part):
    buffers: tuple[Buffer, ...] = Field((), max_length=16)
    buffer_views: tuple[View, ...] = Field((), max_length=MAX_PARTS)
    accessors: tuple[Accessor, ...] = Field((), max_length=MAX_PARTS)
    images: tuple[Image, ...] = Field((), max_length=500)
    textures: tuple[Texture, ...] = Field((), max_length=1000)
    meshes: tuple[Mesh, ...] = Field((), max_length=1000)
    nodes: tuple[Node, ...] = Field((), max_length=MAX_PARTS)
    skins: tuple[Skin, ...] = Field((), max_length=1000)
    scenes: tuple[Scene, ...] = Field((), max_length=16)
    extensions: Extensions = Extensions()
    extensions_used: tuple[Name, ...] = Field((), max_length=200)
    extensions_required: tuple[Name, ...] = Field((), max_length=200)
