"""An operator's weights come into their place, are pinned, and are known again."""

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest
from avatar.engines.weights.manifest import manifest, role_of, weight_file
from avatar.engines.weights.store import LOCK_FILE, ModelStore, models_folder, sha256_of
from avatar.errors import AvatarError, InvalidInput, Unavailable

from .conftest import onnx_file, piper_voice, running_file, safetensors_file, torch_file

UNET = weight_file("latentsync.unet")
VAE = weight_file("latentsync.vae")


def unet(folder: Path, **changed: tuple[int, ...]) -> Path:
    shapes = {
        **UNET.tensors,
        **{name.replace("_weight", ".weight"): shape for name, shape in changed.items()},
    }
    return torch_file(folder / "latentsync_unet.pt", shapes, wrapped="state_dict")


def expect_refusal(error: type[AvatarError], code: str):
    return pytest.raises(error, check=lambda raised: raised.code == code)


def test_every_entry_of_the_manifest_says_where_from_and_what_its_licence_allows() -> None:
    entries = manifest()
    assert len({entry.role for entry in entries}) == len(entries) == 12
    assert len({entry.path for entry in entries}) == len(entries)
    for entry in entries:
        assert "https://" in entry.source
        assert entry.limits.endswith(".") and ". " not in entry.limits, "one sentence"
        assert not entry.limits.startswith("Read"), "what it allows, not where that stands"
        assert entry.tensors or entry.format in ("onnx", "piper")
    single = [entry for entry in entries if not entry.many]
    assert all(entry.about_mib for entry in single), "people plan their disks and downloads by it"
    insightface = [entry for entry in entries if entry.engine == "insightface"]
    assert all(entry.optional and "non-commercial" in entry.limits for entry in insightface)
    for entry in insightface:  # its page has them in one zip
        assert "unpack it" in entry.source and Path(entry.path).name in entry.source


def test_a_file_is_copied_to_its_place_and_pinned(store: ModelStore, weights_folder: Path) -> None:
    source = unet(weights_folder)
    added = store.add(source, role_of(source.name))
    assert added.path == store.folder / UNET.path and added.sha256 == sha256_of(source)
    assert store.require("latentsync.unet") == added.path
    pins = json.loads((store.folder / LOCK_FILE).read_text())["files"]
    assert (
        pins[UNET.path]["sha256"] == added.sha256 and pins[UNET.path]["size_bytes"] == source.stat().st_size
    )
    (found,) = [one for one in store.survey() if one.state != "missing"]
    assert found.state == "there" and found.file is UNET
    assert [one.state for one in store.verify()] == ["there"]


def test_a_linked_file_stays_where_it_is(store: ModelStore, weights_folder: Path) -> None:
    source = unet(weights_folder)
    added = store.add(source, UNET, link=True)
    assert added.path.is_symlink() and added.path.resolve() == source.resolve()
    assert store.verify(("latentsync.unet",))[0].state == "there"


def test_a_file_put_there_by_hand_is_pinned_in_place(store: ModelStore) -> None:
    place = store.folder / UNET.path
    place.parent.mkdir(parents=True)
    unet(place.parent)
    assert {one.state for one in store.verify(("latentsync.unet",))} == {"not_pinned"}
    assert store.add(place, UNET).path == place
    assert {one.state for one in store.verify(("latentsync.unet",))} == {"there"}


def test_missing_weights_say_which_file_from_where_under_which_licence(store: ModelStore) -> None:
    with expect_refusal(Unavailable, "weights.missing") as missing:
        store.require("insightface.detector")
    error = str(missing.value)
    for part in ("det_10g.onnx", str(store.folder), "github.com/deepinsight", "non-commercial", "models add"):
        assert part in error
    assert [one.state for one in store.verify(("insightface.detector",))] == ["missing"]
    assert store.verify() == []


def test_another_file_is_refused_and_leaves_nothing(store: ModelStore, weights_folder: Path) -> None:
    with expect_refusal(InvalidInput, "weights.wrong_file") as wrong:
        store.add(unet(weights_folder, conv_in_weight=(320, 4, 3, 3)), UNET)
    assert "conv_in.weight is 320x4x3x3 instead of 320x13x3x3" in wrong.value.message
    with expect_refusal(InvalidInput, "weights.wrong_file") as wrong:
        store.add(torch_file(weights_folder / "other.pt", {"weight": (1,)}), UNET)
    assert wrong.value.message.startswith("other.pt holds 1 tensors")
    assert "no conv_in.weight" in wrong.value.message
    with expect_refusal(InvalidInput, "weights.unsafe"):
        store.add(running_file(weights_folder / "latentsync_unet.pt"), UNET)
    with expect_refusal(InvalidInput, "weights.unreadable"):
        store.add(onnx_file(weights_folder / "an.onnx"), UNET)
    (weights_folder / "t.txt").write_text("No weights.")
    onnx = weight_file("insightface.detector")
    for entry, link in ((UNET, False), (VAE, False), (UNET, True), (onnx, False)):
        with expect_refusal(InvalidInput, "weights.unreadable") as wrong:
            store.add(weights_folder / "t.txt", entry, link=link)
        assert wrong.value.message.startswith("t.txt cannot be "), "not by the name it would have had"
    assert (weights_folder / "t.txt").read_text() == "No weights."
    assert not any(path.is_file() and path.name != f".{LOCK_FILE}" for path in store.folder.rglob("*"))


def test_a_zip_of_models_is_to_be_unpacked_first(store: ModelStore, weights_folder: Path) -> None:
    with zipfile.ZipFile(weights_folder / "buffalo_l.zip", "w") as archive:
        archive.write(onnx_file(weights_folder / "det_10g.onnx"), "det_10g.onnx")
    with expect_refusal(InvalidInput, "weights.unreadable") as packed:
        store.add(weights_folder / "buffalo_l.zip", weight_file("insightface.detector"))
    assert "a zip" in packed.value.message and "Unpack it" in packed.value.hint
    added = store.add(weights_folder / "det_10g.onnx", weight_file("insightface.detector"))
    assert store.require("insightface.detector") == added.path


def test_a_refused_file_does_not_take_the_place_of_a_good_one(
    store: ModelStore, weights_folder: Path
) -> None:
    good = store.add(unet(weights_folder), UNET).sha256
    with expect_refusal(InvalidInput, "weights.wrong_file"):
        store.add(unet(weights_folder, conv_in_weight=(320, 4, 3, 3)), UNET, replace=True)
    assert store.verify()[0].sha256 == good


def test_another_right_file_needs_a_word(store: ModelStore, weights_folder: Path) -> None:
    store.add(unet(weights_folder), UNET)
    newer = unet(weights_folder, more_weight=(3,))
    with expect_refusal(InvalidInput, "weights.pinned"):
        store.add(newer, UNET)
    assert store.verify()[0].sha256 != sha256_of(newer)
    assert store.add(newer, UNET, replace=True).sha256 == sha256_of(newer)


def test_a_hash_of_the_manifest_binds(store: ModelStore, weights_folder: Path) -> None:
    pinned = UNET.model_copy(update={"sha256": "0" * 64})
    with expect_refusal(InvalidInput, "weights.wrong_file"):
        store.add(unet(weights_folder), pinned, replace=True)


def test_a_changed_file_is_found(store: ModelStore, weights_folder: Path) -> None:
    source = safetensors_file(weights_folder / "diffusion_pytorch_model.safetensors", VAE.tensors)
    path = store.add(source, VAE).path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert store.survey()[2].state == "there", "a survey does not hash"
    (found,) = store.verify()
    assert found.state == "changed" and "SHA-256" in found.sentence
    path.write_bytes(content[:-1])
    assert store.survey()[2].state == "changed"
    with expect_refusal(InvalidInput, "weights.changed"):
        store.require("latentsync.vae")
    (found,) = store.verify()
    assert found.state == "wrong" and "lies outside" in found.sentence


def test_a_voice_comes_with_its_card(store: ModelStore, weights_folder: Path) -> None:
    entry = weight_file("piper.voice")
    bare = onnx_file(weights_folder / "en_US-bare.onnx")
    with expect_refusal(InvalidInput, "weights.no_voice_card"):
        store.add(bare, entry)
    for name in ("en_US-a", "en_US-b"):
        store.add(piper_voice(weights_folder / f"{name}.onnx"), entry)
    assert [one.path.name for one in store.verify(("piper.voice",))] == ["en_US-a.onnx", "en_US-b.onnx"]
    assert store.require("piper.voice", "en_US-a").with_name("en_US-a.onnx.json").is_file()
    for name in ("../en_US-a", None, ".hidden"):
        with expect_refusal(InvalidInput, "weights.role_unclear"):
            store.require("piper.voice", name)


def test_names_tell_roles_where_they_can() -> None:
    assert role_of("tiny.pt").role == "latentsync.whisper"
    with expect_refusal(InvalidInput, "weights.role_unclear"):
        role_of("model.pt")
    with expect_refusal(InvalidInput, "weights.unknown_role"):
        weight_file("latentsync.other")


def test_the_folder_is_the_environments_or_the_users(tmp_path: Path) -> None:
    assert models_folder({"AVATAR_MODELS": "/srv/weights"}) == Path("/srv/weights")
    (tmp_path / "soundstage" / "models").mkdir(parents=True)
    assert models_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "soundstage" / "models"


def test_hints_hold_for_both_programs_that_have_these_commands(
    store: ModelStore, weights_folder: Path
) -> None:
    """`soundstage models` and `avatar models`: who has called one may not have the other."""
    place = store.add(unet(weights_folder), UNET).path
    (weights_folder / "t.txt").write_text("No weights.")
    with expect_refusal(Unavailable, "weights.missing") as missing:
        store.require("latentsync.vae")
    with expect_refusal(InvalidInput, "weights.role_unclear") as unclear:
        role_of("t.txt")
    unreadable = []
    for entry in (UNET, VAE, weight_file("insightface.landmarks")):
        with expect_refusal(InvalidInput, "weights.unreadable") as bad:
            store.add(weights_folder / "t.txt", entry)
        unreadable.append(bad)
    place.write_bytes(b"PK other")
    with expect_refusal(InvalidInput, "weights.changed") as changed:
        store.require("latentsync.unet")
    for error in (missing, unclear, changed, *unreadable):
        assert "`models " in error.value.hint and "avatar models" not in error.value.hint


def test_what_a_killed_add_left_is_in_nobodys_way(store: ModelStore, weights_folder: Path) -> None:
    """Also when it was a link: nothing is written through it."""
    theirs = weights_folder / "theirs.pt"
    theirs.write_bytes(b"theirs")
    with pytest.MonkeyPatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        killed.setattr("avatar.engines.weights.store.inspect", lambda *_: sys.exit())
        store.add(theirs, UNET, link=True)
    assert [path for path in store.folder.rglob("theirs.pt") if path.is_symlink()]
    ours = unet(weights_folder)
    (weights_folder / "mine").mkdir()
    moved_file = ours.rename(weights_folder / "mine" / "theirs.pt")
    assert store.add(moved_file, UNET).path.read_bytes() == moved_file.read_bytes()
    assert theirs.read_bytes() == b"theirs"
    assert not list(store.folder.rglob("theirs.pt"))


def test_a_damaged_lock_file_is_told(store: ModelStore, weights_folder: Path) -> None:
    store.add(unet(weights_folder), UNET)
    (store.folder / LOCK_FILE).write_text("{")
    with expect_refusal(InvalidInput, "weights.lock_damaged"):
        store.survey()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere: run as a user")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, weights_folder: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with expect_refusal(Unavailable, "weights.not_written"):
        ModelStore(tmp_path / "closed" / "models").add(unet(weights_folder), UNET)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path, weights_folder: Path) -> None:
    (tmp_path / "file").write_text("")
    with expect_refusal(Unavailable, "weights.not_written"):
        ModelStore(tmp_path / "file" / "models").add(unet(weights_folder), UNET)
