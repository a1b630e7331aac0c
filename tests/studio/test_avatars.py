"""VRM avatars: checked by their bytes, stored with their licence, drawn by pages and by no worker."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from vrm_files import Version, glb, png, vrm_file

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Forbidden, Invalid, NotFound, SoundstageError
from soundstage.settings import Settings
from studio.assets.schemas import AssetKind, AssetLabels
from studio.personas.live_face import LiveFaces
from studio.personas.schemas import PersonaDraft, VrmCheck
from studio.personas.vrm import VrmFace
from studio.personas.vrm_file import VrmContent, read_vrm_file
from studio.renders.schemas import RenderRequest
from studio.renders.specs import scene_of
from studio.scenes.schemas import SceneBody
from studio.thumbnails.service import ThumbnailWidth
from studio.wiring import Studio

LIMIT = 4 << 20
BOTH = pytest.mark.parametrize("version", ["1.0", "0.x"])
CONSENT = {"person": "Grace H.", "purpose": "course videos", "granted_at": "2026-01-05"}
PRESETS = ("extensions", "VRMC_vrm", "expressions", "preset")
ZEROS = {"componentType": 5126, "count": 1 << 30, "type": "MAT4"}
"""An accessor without bytes: 64 GiB for whoever believes it."""
Edit = Callable[[dict[str, Any]], None]


async def store(rooms: Studio, content: bytes, name: str = "ada.vrm") -> str:
    async def chunks() -> Any:
        yield content

    return (await rooms.assets.upload(chunks(), AssetLabels(name=name))).id


def read(folder: Path, content: bytes, limit: int = LIMIT) -> VrmContent:
    path = folder / "avatar.vrm"
    path.write_bytes(content)
    return read_vrm_file(path, limit)


def refusal(folder: Path, content: bytes, limit: int = LIMIT) -> str:
    """Returns the code by which a file is refused, with a sentence and a hint."""
    with pytest.raises(SoundstageError) as caught:
        read(folder, content, limit)
    assert caught.value.message and caught.value.hint
    return caught.value.code


def set_at(*path: str | int, value: Any) -> Edit:
    """Returns an edit that sets one value in the JSON of a file."""

    def edit(gltf: dict[str, Any]) -> None:
        place: Any = gltf
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return edit


def remove_bone(gltf: dict[str, Any]) -> None:
    extensions = gltf["extensions"]
    if "VRM" in extensions:
        bones = extensions["VRM"]["humanoid"]["humanBones"]
        bones[:] = [one for one in bones if one["bone"] != "leftHand"]
    else:
        del extensions["VRMC_vrm"]["humanoid"]["humanBones"]["leftHand"]


@BOTH
def test_an_avatar_is_read_with_its_licence_expressions_and_picture(tmp_path: Path, version: Version) -> None:
    found = read(tmp_path, vrm_file(version))
    report = found.report
    assert (report.version, report.needs_confirmation, report.warnings) == (version, False, ())
    assert report.licence.title == "Test avatar" and report.licence.authors == ("A test",)
    assert report.licence.licence_url.startswith("https://")
    assert {"aa", "ih", "ou", "ee", "oh", "blink", "happy"} <= set(report.expressions)
    assert found.thumbnail is not None and found.thumbnail[0] == "image/png"
    assert found.thumbnail[1].startswith(b"\x89PNG")


@BOTH
def test_bones_that_are_missing_or_twice_the_same_are_refused(tmp_path: Path, version: Version) -> None:
    assert refusal(tmp_path, vrm_file(version, remove_bone)) == "vrm.missing_bones"


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (set_at("extensions", value={}), "vrm.no_extension"),
        (set_at("extensions", "VRMC_vrm", "specVersion", value="2.0"), "vrm.unsupported_extension"),
        (
            set_at("extensions", "VRMC_vrm", "humanoid", "humanBones", "head", value={"node": 9000}),
            "vrm.bad_structure",
        ),
        (
            set_at("extensions", "VRMC_vrm", "humanoid", "humanBones", "head", value={"node": 0}),
            "vrm.bad_structure",
        ),
        (
            set_at(*PRESETS, "aa", "morphTargetBinds", 0, "index", value=9),
            "vrm.bad_structure",
        ),
        (set_at("extensions", "VRMC_vrm", "meta", value=7), "vrm.bad_structure"),
        (set_at("extensionsRequired", value=["EXT_meshopt_compression"]), "vrm.unsupported_extension"),
        (set_at("extensionsUsed", value=["KHR_draco_mesh_compression"]), "vrm.unsupported_extension"),
        (set_at("images", 0, value={"uri": "https://example.org/a.png"}), "vrm.external_uri"),
        (set_at("buffers", 0, "uri", value="../../etc/passwd"), "vrm.external_uri"),
        (set_at("buffers", 0, "byteLength", value=1 << 31), "vrm.out_of_bounds"),
        (set_at("buffers", 0, "byteLength", value=-1), "vrm.bad_structure"),
        (set_at("bufferViews", 0, "byteLength", value=100 << 20), "vrm.out_of_bounds"),
        (set_at("bufferViews", 2, "byteOffset", value=1 << 31), "vrm.out_of_bounds"),
        (set_at("bufferViews", 2, "buffer", value=1), "vrm.out_of_bounds"),
        (set_at("accessors", 0, "count", value=1 << 20), "vrm.out_of_bounds"),
        (set_at("accessors", 0, "byteOffset", value=1 << 30), "vrm.out_of_bounds"),
        (set_at("accessors", 0, "count", value=1), "vrm.bad_structure"),
        (set_at("accessors", 0, value=ZEROS), "vrm.too_complex"),
        (set_at("accessors", 0, "bufferView", value=9000), "vrm.bad_structure"),
        (
            set_at(
                "accessors", 0, "sparse",
                value={
                    "count": 3,
                    "indices": {"bufferView": 0, "byteOffset": 1 << 20, "componentType": 5123},
                    "values": {"bufferView": 2},
                },
            ),
            "vrm.out_of_bounds",
        ),
        (set_at("nodes", 0, "children", value=[0]), "vrm.bad_structure"),
        (set_at("nodes", 4, "children", value=[3]), "vrm.bad_structure"),
        (set_at("nodes", 0, "mesh", value=9000), "vrm.bad_structure"),
        (set_at("meshes", 0, "primitives", 0, "indices", value=9000), "vrm.bad_structure"),
        (set_at("nodes", value=[{}] * 20_001), "vrm.too_complex"),
        (set_at("scenes", value=[]), "vrm.bad_structure"),
        (set_at("images", 0, "mimeType", value="image/svg+xml"), "vrm.bad_image"),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, edit: Edit, code: str) -> None:
    assert refusal(tmp_path, vrm_file(edit=edit)) == code


def test_pictures_that_claim_too_many_pixels_are_refused(tmp_path: Path) -> None:
    whole = vrm_file()
    place = whole.index(b"IHDR") + 4
    claim = struct.pack(">II", 30_000, 30_000)
    assert refusal(tmp_path, whole[:place] + claim + whole[place + 8 :]) == "vrm.image_too_large"
    # The frame of a JPEG, behind a comment of 100 bytes.
    jpeg = b"\xff\xd8\xff\xfe\x00\x66" + bytes(100) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 9000, 8)
    named = vrm_file(edit=set_at("images", 1, "mimeType", value="image/jpeg"))
    assert refusal(tmp_path, named) == "vrm.bad_image"
    image = named.rindex(b"\x89PNG")
    spoiled = named[:image] + jpeg + named[image + len(jpeg) :]
    assert refusal(tmp_path, spoiled) == "vrm.image_too_large"


@pytest.mark.parametrize(("segments", "code"), [(10, ""), (1500, "vrm.bad_image")])
def test_a_jpeg_whose_size_comes_behind_thousands_of_segments_is_refused(
    tmp_path: Path, segments: int, code: str
) -> None:
    def edit(gltf: dict[str, Any]) -> None:
        gltf["images"][1]["mimeType"] = "image/jpeg"
        gltf["bufferViews"][1]["byteLength"] = 8000

    named = vrm_file(edit=edit)
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 8, 8)
    jpeg = b"\xff\xd8" + b"\xff\xfe\x00\x02" * segments + frame
    image = named.rindex(b"\x89PNG")
    spoiled = named[:image] + jpeg + named[image + len(jpeg) :]
    if code:
        assert refusal(tmp_path, spoiled) == code
    else:
        read(tmp_path, spoiled)


def test_a_file_that_is_cut_or_no_binary_gltf_is_refused(tmp_path: Path) -> None:
    whole = vrm_file()
    assert refusal(tmp_path, whole[:-100]) == "vrm.bad_chunks"
    assert refusal(tmp_path, whole + bytes(64)) == "vrm.bad_chunks"
    assert refusal(tmp_path, whole[:8]) == "vrm.not_glb"
    assert refusal(tmp_path, b'{"asset": {"version": "2.0"}}') == "vrm.not_glb"
    assert refusal(tmp_path, b"glTF" + struct.pack("<II", 1, 20) + bytes(8)) == "vrm.not_glb"
    longer = bytearray(whole)
    longer[12:16] = struct.pack("<I", 1 << 30)
    assert refusal(tmp_path, bytes(longer)) == "vrm.bad_chunks"
    assert refusal(tmp_path, glb(b"", b"")) == "vrm.bad_chunks"
    assert refusal(tmp_path, glb(b"{not json", b"")) == "vrm.bad_json"
    assert refusal(tmp_path, glb(b"[" * 100_000, b"")) == "vrm.bad_json"
    assert refusal(tmp_path, glb(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"")) == "vrm.bad_json"
    assert refusal(tmp_path, glb(b"{}" + b" " * (9 << 20), b""), 64 << 20) == "vrm.too_complex"
    assert refusal(tmp_path, whole, 1000) == "vrm.too_large"


def test_an_avatar_with_few_shapes_is_taken_with_warnings(tmp_path: Path) -> None:
    def poor(gltf: dict[str, Any]) -> None:
        presets = gltf["extensions"]["VRMC_vrm"]["expressions"]["preset"]
        for name in ("ih", "ou", "ee", "oh", "blink"):
            del presets[name]

    report = read(tmp_path, vrm_file(edit=poor, commercialUsage="personalNonProfit")).report
    codes = [one.code for one in report.warnings]
    assert codes == ["vrm.few_mouth_shapes", "vrm.no_blink", "vrm.commercial_use"]
    assert "aa" not in report.warnings[0].message and "ou" in report.warnings[0].message


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//example.org", 7])
def test_a_licence_that_is_no_web_address_is_left_out(tmp_path: Path, address: str) -> None:
    if not isinstance(address, str):
        assert refusal(tmp_path, vrm_file(licenseUrl=address)) == "vrm.bad_structure"
        return
    assert read(tmp_path, vrm_file(licenseUrl=address)).report.licence.licence_url == ""


@BOTH
async def test_an_avatar_becomes_a_persona_without_a_consent(studio_rooms: Studio, version: Version) -> None:
    rooms = studio_rooms
    asset = await store(rooms, vrm_file(version))
    assert (await rooms.assets.get(asset)).kind == AssetKind.MODEL
    created = await rooms.personas.create(PersonaDraft(name="Ada", media=asset))
    persona = rooms.library.get("ada")
    assert created.persona == persona and isinstance(persona.face, VrmFace)
    assert persona.face.licence.title == "Test avatar" and persona.face.confirmed_at is None
    assert not persona.real_person and (await rooms.persona_health.of("ada")).healthy
    model, path = await rooms.personas.open_avatar("ada")
    assert path.read_bytes() == vrm_file(version) and model.media_type == "model/gltf-binary"
    _, picture = await rooms.persona_pictures.open("ada", ThumbnailWidth.SMALL)
    assert picture.read_bytes()[8:12] == b"WEBP"
    plan = await rooms.people.erase_persona("ada")
    assert plan.assets == [asset] and rooms.library.origin("ada") is None
    assert not path.exists() and not picture.exists()


async def test_a_restricted_licence_asks_for_a_confirmation(studio_rooms: Studio) -> None:
    rooms = studio_rooms
    asset = await store(rooms, vrm_file(avatarPermission="onlySeparatelyLicensedPerson"))
    assert (await rooms.personas.check_avatar(VrmCheck(media=asset))).needs_confirmation
    with pytest.raises(Forbidden) as caught:
        await rooms.personas.create(PersonaDraft(name="Ada", media=asset))
    assert caught.value.code == "vrm.licence_unconfirmed" and rooms.library.origin("ada") is None
    await rooms.personas.create(PersonaDraft(name="Ada", media=asset, licence_confirmed=True))
    face = rooms.library.get("ada").face
    assert isinstance(face, VrmFace) and face.confirmed_at is not None


async def test_an_avatar_of_a_real_person_ends_with_the_consent(studio_rooms: Studio) -> None:
    rooms = studio_rooms
    asset = await store(rooms, vrm_file())
    draft = PersonaDraft.model_validate({"name": "Ada", "media": asset, "consent": CONSENT})
    persona = (await rooms.personas.create(draft)).persona
    assert persona.real_person
    [consent] = persona.consent_ids()
    await rooms.consents.revoke(consent)
    with pytest.raises(Forbidden) as caught:
        await rooms.personas.open_avatar("ada")
    assert caught.value.code == "consent.revoked"


async def test_no_video_is_rendered_of_an_avatar(
    studio_rooms: Studio, db: Database, blobs: BlobStore
) -> None:
    rooms = studio_rooms
    await rooms.personas.create(PersonaDraft(name="Ada", media=await store(rooms, vrm_file())))
    ada = rooms.library.get("ada")
    with pytest.raises(Invalid) as caught:
        await rooms.renders.create(RenderRequest(script="Hello.", persona="ada"))
    assert caught.value.code == "persona.talk_only" and "talk to this one" in caught.value.hint
    # As the guest of another one.
    body = SceneBody.model_validate({"script": "Hello.", "speakers": [{"persona": "ada"}]})
    with pytest.raises(Invalid) as caught:
        scene_of("scene", body, rooms.library.get("nova"), [ada])
    assert caught.value.code == "persona.talk_only"
    faces = LiveFaces(db, blobs, rooms.speech.admission)
    with pytest.raises(Invalid) as caught:
        await faces.spec(ada, 640, 360)
    assert caught.value.code == "voice.face_not_drawn" and "VRM" in caught.value.message


async def test_what_is_not_an_avatar_is_told_apart(studio_rooms: Studio) -> None:
    rooms = studio_rooms
    photo = await store(rooms, png(8, 8, [b"abc"]), "ada.png")
    with pytest.raises(Invalid) as caught:
        await rooms.personas.check_avatar(VrmCheck(media=photo))
    assert caught.value.code == "vrm.not_glb"
    with pytest.raises(Invalid) as caught:
        await store(rooms, b'{"asset": {"version": "2.0"}, "scenes": []}', "ada.gltf")
    assert caught.value.code == "upload.unknown_type" and "VRM" in caught.value.hint
    with pytest.raises(NotFound) as gone:
        await rooms.personas.open_avatar("nova")
    assert gone.value.code == "persona.no_model"
    avatar = await store(rooms, vrm_file())
    for more, code in (
        ({"engine": "mesh"}, "persona.other_engine"),
        ({"driving": avatar}, "persona.not_driven"),
    ):
        with pytest.raises(Invalid) as caught:
            await rooms.personas.create(PersonaDraft(name="Ada", media=avatar, **more))
        assert caught.value.code == code


async def test_over_rest_the_file_is_checked_created_and_cached(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    content = vrm_file(thumbnailImage=None)
    asset = (await client.post("/api/assets?name=ada.vrm", content=content)).raise_for_status().json()
    checked = await client.post("/api/personas/check-avatar", json={"media": asset["id"]})
    assert checked.json()["licence"]["authors"] == ["A test"] and not checked.json()["has_picture"]
    body = {"name": "Ada", "media": asset["sha256"]}
    created = (await client.post("/api/personas", json=body)).raise_for_status().json()
    assert created["persona"]["face"]["kind"] == "vrm"
    picture = await client.get("/api/personas/ada/image")
    assert (picture.status_code, picture.json()["code"]) == (404, "persona.no_still")
    digits = asset["sha256"].removeprefix("sha256:")
    model = await client.get(f"/api/personas/ada/model?v={digits[:12]}")
    assert model.content == content and "immutable" in model.headers["cache-control"]
    again = await client.get("/api/personas/ada/model", headers={"If-None-Match": model.headers["etag"]})
    assert again.status_code == 304


async def test_another_tenant_has_neither_the_avatar_nor_its_file(studio_rooms: Studio) -> None:
    rooms = studio_rooms
    asset = await store(rooms, vrm_file())
    await rooms.personas.create(PersonaDraft(name="Ada", media=asset))
    sha256 = (await rooms.assets.get(asset)).sha256
    with tenant_scope("rival"):
        for media in (asset, sha256):
            with pytest.raises(NotFound):
                await rooms.personas.check_avatar(VrmCheck(media=media))
        with pytest.raises(NotFound):
            await rooms.personas.open_avatar("ada")
