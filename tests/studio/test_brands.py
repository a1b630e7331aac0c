"""Brand kits: kept by tenants, applied to projects, and seen in the spec and the frames of their videos."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from soundstage.database.tenants import tenant_scope
from studio.brands.schemas import BrandDraft
from studio.references.repository import References
from studio.retention.service import RetentionRules
from studio.wiring import Studio

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
SMALL = {"width": 320, "height": 180}
GROUND = {"kind": "colour", "colour": "#00ff00"}
LIST = {"kind": "list", "items": [{"text": "one"}]}


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()


async def upload(client: Any, colour: str = "#ff00ff") -> Any:
    answer = await client.post("/api/assets?name=logo.png", content=picture(colour))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def brand_of(client: Any, name: str = "Harbour", **kit: Any) -> Any:
    created = await client.post("/api/brands", json={"name": name, **kit})
    assert created.status_code == 201, created.text
    return created.json()


async def project_of(client: Any, *scenes: Any, **more: Any) -> str:
    body = {"title": "Tides", "subtitle": "Why they come", "canvas": SMALL, **more}
    created = await client.post("/api/projects", json=body)
    assert created.status_code == 201, created.text
    slug = created.json()["slug"]
    for scene in scenes:
        assert (await client.post(f"/api/projects/{slug}/scenes", json=scene)).status_code == 201
    return f"/api/projects/{slug}"


async def spec_of(client: Any, project: str) -> Any:
    render = await client.post("/api/renders", json={"project": project.rpartition("/")[2]})
    assert render.status_code == 202, render.text
    return (await client.get(f"/api/renders/{render.json()['id']}")).json()["spec"]


async def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.fixture
async def kit(client: Any) -> dict[str, Any]:
    logo, music = await upload(client), await upload(client, "#00ffff")
    return {
        "colours": {"text": "#fafafa", "accent": "#ff8800", "panel": "#112233"},
        "fonts": {"heading": "DejaVu Serif", "body": "DejaVu Sans"},
        "logo": {"image": {"sha256": logo["sha256"]}},
        "lower_third": {"side": "right"},
        "captions": {"mode": "burned", "colour": "#ffee00", "style": {"place": "top", "size": 0.06}},
        "background": GROUND,
        "intro": {"kind": "title", "title": "{title}", "subtitle": "{subtitle}", "duration_ms": 2000},
        "outro": {"kind": "picture", "image": {"sha256": logo["sha256"]}, "duration_ms": 1500},
        "music": {"audio": {"sha256": music["sha256"]}, "level_db": -18},
    }


async def test_a_brand_is_made_found_changed_and_deleted(client: Any, kit: Any, studio_rooms: Studio) -> None:
    brand = await brand_of(client, **kit)
    assert brand["music"]["level_db"] == -18 and brand["logo"]["box"]["width"] == 0.1
    path = f"/api/brands/{brand['id']}"
    assert (await client.get(path)).json() == (await client.get("/api/brands/HARBOUR")).json() == brand
    changed = (
        await client.patch(path, json={"name": "Port", "logo": None, "fonts": {"body": "Lato"}})
    ).json()
    assert (changed["name"], changed["logo"], changed["fonts"]) == (
        "Port",
        None,
        {"heading": None, "body": "Lato"},
    )
    assert changed["colours"] == brand["colours"], "only what is given changes"
    assert [one["name"] for one in (await client.get("/api/brands?q=por")).json()] == ["Port"]
    assert (await client.delete(path)).status_code == 204
    assert await code(await client.get(path)) == (404, "brand.not_found")
    events = await studio_rooms.events.read(f"brand:{brand['id']}")
    assert [event.kind for event in events] == ["brand.created", "brand.changed", "brand.deleted"]


async def test_names_of_any_script_are_taken_once(client: Any) -> None:
    for name in ("🌊", "المرفأ", "Straße"):
        brand = await brand_of(client, name)
        assert (await client.get(f"/api/brands/{name}")).json()["id"] == brand["id"]
        assert await code(await client.post("/api/brands", json={"name": f" {name} "})) == (
            409,
            "brand.name_taken",
        )
    assert await code(await client.post("/api/brands", json={"name": "STRASSE"})) == (409, "brand.name_taken")
    other = await brand_of(client, "Other")
    taken = await client.patch(f"/api/brands/{other['id']}", json={"name": "🌊"})
    assert await code(taken) == (409, "brand.name_taken")
    assert (await client.patch(f"/api/brands/{other['id']}", json={"name": "OTHER"})).json()[
        "name"
    ] == "OTHER"


@pytest.mark.parametrize(
    "kit",
    [
        {"colours": {"text": "red"}},
        {"intro": {"kind": "title", "duration_ms": 10}},
        {"logo": {"image": {}}},
        {"tagline": "x"},
        {"name": ""},
    ],
)
async def test_a_kit_that_cannot_be_used_is_refused(client: Any, kit: Any) -> None:
    answer = await client.post("/api/brands", json={"name": "x", **kit})
    assert await code(answer) == (422, "request.invalid")


async def test_a_video_shows_its_brand_where_the_scene_says_nothing(client: Any, kit: Any) -> None:
    brand = await brand_of(client, **kit)
    own = {**LIST, "accent": "#0000ff"}
    scenes = [
        {"script": "One.", "overlays": [LIST, own]},
        {"script": "Two.", "background": {"kind": "colour", "colour": "#111111"}},
    ]
    path = await project_of(client, *scenes)
    plain = await spec_of(client, path)
    assert (plain["overlays"], plain["music"], len(plain["scenes"])) == ([], None, 2)
    chosen = await client.patch(path, json={"brand": "harbour"})
    assert chosen.json()["brand"] == brand["id"], "by its name, kept by its id"
    spec = await spec_of(client, path)
    intro, one, two, outro = spec["scenes"]
    assert spec["overlays"][0]["image"]["sha256"] == kit["logo"]["image"]["sha256"]
    assert spec["music"]["audio"]["sha256"] == kit["music"]["audio"]["sha256"]
    title = intro["overlays"][0]
    assert (title["title"], title["subtitle"], title["font"]) == ("Tides", "Why they come", "DejaVu Serif")
    assert (intro["script"], intro["duration_ms"], intro["layout"]["visible"]) == (None, 2000, False)
    assert (outro["background"]["kind"], outro["duration_ms"]) == ("image", 1500)
    assert (one["background"]["colour"], two["background"]["colour"]) == ("#00ff00", "#111111")
    first, second, name = one["overlays"]
    assert (first["colour"], first["accent"], first["background"]) == ("#fafafa", "#ff8800", "#112233")
    assert (second["accent"], second["font"]) == ("#0000ff", "DejaVu Sans"), "the scene's own goes first"
    assert (name["kind"], name["name"], name["side"], name["accent"]) == (
        "lower_third",
        "Nova",
        "right",
        "#ff8800",
    )
    assert two["overlays"] == [], "she is introduced once"
    captions = spec["output"]["captions"]
    assert (captions["mode"], captions["colour"], captions["style"]["place"]) == ("burned", "#ffee00", "top")
    stored = (await client.get(f"{path}/scenes")).json()
    assert stored[0]["overlays"][0]["accent"] == plain["scenes"][0]["overlays"][0]["accent"], (
        "nothing is copied"
    )
    without = await client.patch(path, json={"brand": None})
    assert without.json()["brand"] is None
    assert await spec_of(client, path) == plain


async def test_a_project_says_which_values_come_from_its_brand(client: Any, kit: Any) -> None:
    await brand_of(client, **kit)
    scenes = [
        {"script": "One.", "overlays": [{**LIST, "accent": "#0000ff"}]},
        {"script": "Two.", "background": {"kind": "colour", "colour": "#111111"}},
    ]
    own = {"captions": {"mode": "soft", "colour": "#123456"}}
    path = await project_of(client, *scenes, brand="Harbour", output=own)
    use = (await client.get(f"{path}/brand")).json()
    ids = [scene["id"] for scene in (await client.get(f"{path}/scenes")).json()]
    sources = {(value["scene"], value["field"]): value["source"] for value in use["values"]}
    assert use["brand"]["name"] == "Harbour"
    assert sources[ids[0], "background"] == "brand" and sources[ids[1], "background"] == "scene"
    assert (
        sources[ids[0], "overlays[0].accent"] == "scene" and sources[ids[0], "overlays[0].colour"] == "brand"
    )
    assert sources[ids[0], "lower_third"] == "brand" and (ids[1], "lower_third") not in sources
    assert sources[None, "captions.colour"] == "project" and sources[None, "captions.style.place"] == "brand"
    assert {sources[None, name] for name in ("intro", "outro", "logo", "music")} == {"brand"}
    spec = await spec_of(client, path)
    assert spec["output"]["captions"]["colour"] == "#123456"
    bare = await project_of(client, {"script": "One."})
    assert (await client.get(f"{bare}/brand")).json() == {"brand": None, "values": []}


async def test_a_brand_keeps_its_files_when_their_assets_go(
    client: Any, studio_rooms: Studio, db: Any
) -> None:
    logo, rules = await upload(client), RetentionRules(unused_blob_hours=0)
    sha256 = logo["sha256"]
    brand = await brand_of(client, logo={"image": {"sha256": sha256}})
    assert (await client.get(f"/api/assets/{logo['id']}/used-in")).json()["brands"] == ["Harbour"]
    await client.delete(f"/api/assets/{logo['id']}")
    assert (await studio_rooms.retention.plan(rules)).of("blob") == []
    path = await project_of(client, {"script": "One."}, brand="Harbour")
    renamed = await client.patch(f"/api/brands/{brand['id']}", json={"name": "Port"})
    assert renamed.json()["logo"]["image"]["sha256"] == sha256
    assert (await spec_of(client, path))["overlays"][0]["image"]["sha256"] == sha256
    # As when a person in the picture has taken back the consent.
    async with db.transaction() as session:
        await References(session).drop_holds(f"brand:{brand['id']}", {sha256})
    slug = {"project": path.rpartition("/")[2]}
    lost = await client.post("/api/renders", json=slug)
    assert await code(lost) == (409, "brand.file_missing") and "logo.image" in lost.json()["detail"]
    plan = (await client.post("/api/renders/plan", json=slug)).json()
    assert [one["code"] for one in plan["missing"]] == ["brand.file_missing"]
    await client.patch(f"/api/brands/{brand['id']}", json={"logo": None})
    assert (await spec_of(client, path))["overlays"] == []
    never = await client.post(
        "/api/brands", json={"name": "x", "logo": {"image": {"sha256": "sha256:" + "0" * 64}}}
    )
    assert await code(never) == (404, "media.not_found")


async def test_a_project_has_music_of_its_own_and_keeps_its_file(
    client: Any, kit: Any, studio_rooms: Studio, db: Any
) -> None:
    own, rules = await upload(client, "#123456"), RetentionRules(unused_blob_hours=0)
    music = {"audio": {"sha256": own["sha256"]}, "level_db": -6}
    await brand_of(client, **kit)
    path = await project_of(client, {"script": "One."}, brand="Harbour", music=music)
    assert (await spec_of(client, path))["music"]["level_db"] == -6
    use = (await client.get(f"{path}/brand")).json()["values"]
    assert {"scene": None, "field": "music", "source": "project"} in use
    used = (await client.get(f"/api/assets/{own['id']}/used-in")).json()["projects"]
    assert [one["scenes"] for one in used] == [[]]

    await client.delete(f"/api/assets/{own['id']}")
    assert (await client.patch(path, json={"music": None})).json()["music"] is None
    assert (await spec_of(client, path))["music"]["audio"]["sha256"] == kit["music"]["audio"]["sha256"]
    # The version of the first video has kept the file, and the project holds it again.
    restored = await client.post(f"{path}/versions/1/restore")
    assert restored.json()["music"]["audio"]["sha256"] == own["sha256"]
    assert (await studio_rooms.retention.plan(rules)).of("blob") == []
    state = (await client.get(path)).json()
    change = {"op": "change_project", "project": {"music": {**music, "level_db": -20}, "brand": None}}
    body = {"base_revision": state["revision"], "changes": [change]}
    assert (await client.post(f"{path}/changes", json=body)).status_code == 200
    assert (await spec_of(client, path))["music"]["level_db"] == -20

    unknown = {"audio": {"sha256": "sha256:" + "0" * 64}}
    for answer in (
        await client.patch(path, json={"music": unknown}),
        await client.post("/api/projects", json={"title": "x", "music": unknown}),
    ):
        assert await code(answer) == (404, "media.not_found")
    by_path = await client.patch(path, json={"music": {"audio": {"path": "/etc/passwd"}}})
    assert await code(by_path) == (422, "media.path_refused")
    owner = f"project:{state['id']}"
    async with db.session() as session:
        assert set(await References(session).sizes_of(owner)) == {own["sha256"]}
    await client.delete(f"{path}?forever=true")
    async with db.session() as session:
        assert await References(session).sizes_of(owner) == {}


async def test_a_brand_in_use_is_not_deleted(client: Any) -> None:
    brand = await brand_of(client)
    path = await project_of(client, {"script": "One."}, brand=brand["id"])
    refused = await client.delete(f"/api/brands/{brand['id']}")
    assert await code(refused) == (409, "brand.in_use") and "tides" in refused.json()["detail"]
    await client.delete(path)
    assert (await client.delete(f"/api/brands/{brand['id']}")).status_code == 204
    await client.post(f"{path}/restore")
    body = {"project": path.rpartition("/")[2]}
    assert await code(await client.post("/api/renders", json=body)) == (404, "brand.not_found")
    assert await code(await client.get(f"{path}/brand")) == (404, "brand.not_found")
    await client.patch(path, json={"brand": None})
    assert (await client.post("/api/renders", json=body)).status_code == 202


async def test_the_brand_of_another_tenant_is_not_there(client: Any, studio_rooms: Studio) -> None:
    with tenant_scope("acme"):
        theirs = (await studio_rooms.brands.create(BrandDraft(name="Secret"), by="Ann")).id
    project = await project_of(client, {"script": "One."})
    for ref in (theirs, "Secret"):
        answers = [
            await client.get(f"/api/brands/{ref}"),
            await client.patch(f"/api/brands/{ref}", json={"name": "mine"}),
            await client.delete(f"/api/brands/{ref}"),
            await client.patch(project, json={"brand": ref}),
            await client.post("/api/projects", json={"title": "x", "brand": ref}),
        ]
        assert [await code(answer) for answer in answers] == [(404, "brand.not_found")] * 5
    assert (await client.get("/api/brands")).json() == []
    await brand_of(client, "Secret")


@pytest.fixture
async def real_rooms(drawing: Any) -> AsyncIterator[Studio]:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    created = drawing(str(WORKER))
    async with created.dispatcher:
        yield created


async def test_a_frame_contains_the_logo_and_the_colour_of_the_brand(
    real_rooms: Studio, client: Any, settings: Any
) -> None:
    logo = await upload(client)
    path = await project_of(client, {"script": "Hi.", "layout": {"box": {"x": 0.3, "width": 0.4}}})
    frames = []
    for brand in (None, "Harbour"):
        if brand is not None:
            box = {"x": 0.8, "y": 0.0, "width": 0.2, "height": 0.35}
            await brand_of(
                client, brand, background=GROUND, logo={"image": {"sha256": logo["sha256"]}, "box": box}
            )
            await client.patch(path, json={"brand": brand})
        created = await client.post("/api/renders", json={"project": path.rpartition("/")[2]})
        view = await real_rooms.renders.wait(created.json()["id"])
        assert view.error is None, view.error
        poster = next(name for name in view.out_files if name.endswith(".png"))
        frames.append(Image.open(settings.out_dir / poster).convert("RGB").resize((320, 180)))
    plain, branded = frames
    for place, colour in (((288, 30), (255, 0, 255)), ((8, 172), (0, 255, 0))):
        seen, before = branded.getpixel(place), plain.getpixel(place)
        assert distance(seen, colour) < 60 < distance(before, colour), (place, seen, before)


def distance(one: Any, other: Any) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
