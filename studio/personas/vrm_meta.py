"""Reads what makes a glTF file an avatar: its licence, human bones, expressions and thumbnail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from soundstage.errors import Invalid
from soundstage.one_line import printable
from studio.personas.gltf import Gltf, Vrm0, Vrm1, bad_structure
from studio.personas.vrm import AvatarPermission, CommercialUsage, VrmLicence, VrmNotice, VrmVersion

_SIDES = ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
REQUIRED_BONES = ("hips", "spine", "head", *(f"{side}{one}" for side in ("left", "right") for one in _SIDES))
MOUTH = ("aa", "ih", "ou", "ee", "oh")
PRESETS_0 = {
    "a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh", "blink": "blink", "blink_l": "blinkLeft",
    "blink_r": "blinkRight", "joy": "happy", "angry": "angry", "sorrow": "sad", "fun": "relaxed",
    "lookup": "lookUp", "lookdown": "lookDown", "lookleft": "lookLeft", "lookright": "lookRight",
}  # fmt: skip
"""Presets of VRM 0.x by their names in VRM 1.0."""
PERMISSIONS_0: Mapping[str, AvatarPermission] = {
    "Everyone": "everyone", "ExplicitlyLicensedPerson": "onlySeparatelyLicensedPerson"
}  # fmt: skip
LICENCES_0 = {
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
    **{
        f"CC_{name.upper().replace('-', '_')}": f"https://creativecommons.org/licenses/{name}/4.0/"
        for name in ("by", "by-nc", "by-sa", "by-nc-sa", "by-nd", "by-nc-nd")
    },
}
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Vrm:
    """`thumbnail`: index of an image."""

    version: VrmVersion
    licence: VrmLicence
    expressions: tuple[str, ...]
    thumbnail: int | None
    warnings: tuple[VrmNotice, ...]


def read_vrm(gltf: Gltf) -> Vrm:
    """Raises Invalid `vrm.no_extension`, `vrm.missing_bones` and `vrm.bad_structure`."""
    newer, older = gltf.extensions.vrm_1, gltf.extensions.vrm_0
    if newer is not None:
        bones = {name: bone.node for name, bone in newer.humanoid.human_bones.items()}
        expressions, thumbnail = tuple(_presets_1(gltf, newer)), newer.meta.thumbnail_image
        version, licence = _version(newer), _licence_1(newer)
    elif older is not None:
        bones = {one.bone: one.node for one in older.humanoid.human_bones if one.node >= 0}
        expressions, thumbnail = tuple(_presets_0(gltf, older)), _thumbnail_0(gltf, older)
        version, licence = "0.x", _licence_0(older)
    else:
        raise Invalid(
            "vrm.no_extension",
            "This is a glTF model, but no avatar: it has neither `VRMC_vrm` nor `VRM`.",
            "Make an avatar of it, for example with UniVRM or the VRM add-on of Blender.",
        )
    _check_bones(bones, len(gltf.nodes))
    if thumbnail is not None and thumbnail >= len(gltf.images):
        thumbnail = None
    return Vrm(version, licence, tuple(sorted(set(expressions))), thumbnail, _warnings(expressions, licence))


def _version(vrm: Vrm1) -> VrmVersion:
    if not vrm.spec_version.startswith("1."):
        raise Invalid(
            "vrm.unsupported_extension",
            f"It is VRM {vrm.spec_version[:20]}; versions 0.x and 1.0 are supported.",
            "Export it as VRM 1.0.",
        )
    return "1.0"


def _check_bones(bones: Mapping[str, int], nodes: int) -> None:
    missing = [name for name in REQUIRED_BONES if name not in bones]
    if missing:
        raise Invalid(
            "vrm.missing_bones",
            f"The avatar lacks human bones: {', '.join(missing)}.",
            "Assign them in its humanoid before it is exported.",
        )
    wrong = next((name for name, node in bones.items() if node >= nodes), None)
    if wrong is not None:
        raise bad_structure(f"the bone {wrong[:40]} names a node that is not there")
    if len(set(bones.values())) < len(bones):
        raise bad_structure("two bones are the same node")


def _presets_1(gltf: Gltf, vrm: Vrm1) -> Iterator[str]:
    for name, expression in vrm.expressions.preset.items():
        for bind in expression.morph_target_binds or ():
            mesh = gltf.nodes[bind.node].mesh if bind.node < len(gltf.nodes) else None
            _check_target(gltf, name, mesh, bind.index)
        if expression.morph_target_binds:
            yield name


def _presets_0(gltf: Gltf, vrm: Vrm0) -> Iterator[str]:
    for group in vrm.blend_shape_master.blend_shape_groups:
        for bind in group.binds or ():
            _check_target(gltf, group.preset_name, bind.mesh, bind.index)
        preset = PRESETS_0.get(group.preset_name.lower())
        if preset is not None and group.binds:
            yield preset


def _check_target(gltf: Gltf, name: str, mesh: int | None, index: int) -> None:
    if mesh is None or not 0 <= mesh < len(gltf.meshes):
        raise bad_structure(f"the expression {name[:40]!r} moves a mesh that is not there")
    if any(not 0 <= index < len(one.targets) for one in gltf.meshes[mesh].primitives):
        raise bad_structure(f"the expression {name[:40]!r} moves a shape that is not there")


def _thumbnail_0(gltf: Gltf, vrm: Vrm0) -> int | None:
    texture = vrm.meta.texture
    if texture is None or not 0 <= texture < len(gltf.textures):
        return None
    source = gltf.textures[texture].source
    return source if source is not None and source >= 0 else None


def _licence_1(vrm: Vrm1) -> VrmLicence:
    meta = vrm.meta
    permission: AvatarPermission = "onlyAuthor"
    permission = next(
        (one for one in get_args(AvatarPermission) if one == meta.avatar_permission), permission
    )
    usage: CommercialUsage = "personalNonProfit"
    usage = next((one for one in get_args(CommercialUsage) if one == meta.commercial_usage), usage)
    return VrmLicence(
        title=_text(meta.name),
        authors=_texts(meta.authors or ()),
        copyright=_text(meta.copyright_information),
        licence_url=_url(meta.license_url, meta.other_license_url),
        avatar_permission=permission,
        commercial_usage=usage,
        credit_required=meta.credit_notation != "unnecessary",
    )


def _licence_0(vrm: Vrm0) -> VrmLicence:
    meta = vrm.meta
    named = LICENCES_0.get(meta.license_name or "")
    return VrmLicence(
        title=_text(meta.title),
        authors=_texts((meta.author or "",)),
        licence_url=_url(named, meta.other_license_url),
        avatar_permission=PERMISSIONS_0.get(meta.allowed_user_name or "", "onlyAuthor"),
        commercial_usage="corporation" if meta.commercial_use == "Allow" else "personalNonProfit",
        credit_required=meta.license_name != "CC0",
    )


def _warnings(expressions: Sequence[str], licence: VrmLicence) -> tuple[VrmNotice, ...]:
    found = []
    missing = [name for name in MOUTH if name not in expressions]
    if missing:
        sentence = (
            "The avatar has no mouth shapes: it speaks with a still mouth."
            if len(missing) == len(MOUTH)
            else f"The avatar lacks mouth shapes ({', '.join(missing)}): its lips move less exactly."
        )
        found.append(VrmNotice(code="vrm.few_mouth_shapes", message=sentence))
    if "blink" not in expressions and not {"blinkLeft", "blinkRight"} <= set(expressions):
        found.append(VrmNotice(code="vrm.no_blink", message="The avatar cannot blink."))
    if licence.commercial_usage != "corporation":
        sentence = "Its licence does not allow companies to use it."
        found.append(VrmNotice(code="vrm.commercial_use", message=sentence))
    return tuple(found)


def _text(value: str | None) -> str:
    return printable(value or "", "").strip()[:MAX_TEXT]


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for one in values if (text := _text(one)))


def _url(*addresses: str | None) -> str:
    """Returns the first web address: it is shown as a link."""
    return next((_text(one) for one in addresses if (one or "").startswith(("https://", "http://"))), "")
