"""The film's pronunciations reach the scenes that hold the words, and their content hashes."""

from __future__ import annotations

from avatar.spec import RenderSpec, Scene

SCENES = (
    Scene(id="a", script="Ask Siobhan, then GPU-based Nguyen."),
    Scene(id="b", script="Nobody else.", pronunciation={"else": "elss"}),
    Scene(id="c", script="Call siobhan.", pronunciation={"Siobhan": "Shiv"}),
)


def film(**pronunciation: str) -> RenderSpec:
    return RenderSpec(scenes=SCENES, pronunciation=pronunciation)


def test_a_film_has_pronunciations_for_its_scenes_and_a_scenes_own_goes_first() -> None:
    spec = film(siobhan="Shivawn", Nguyen="win", Else="x", GPU="gee pee you", Sio="y")
    assert spec.scene("a").pronunciation == {"siobhan": "Shivawn", "Nguyen": "win", "GPU": "gee pee you"}
    assert spec.scene("b").pronunciation == {"else": "elss"}
    assert spec.scene("c").pronunciation == {"Siobhan": "Shiv"}


def test_only_scenes_with_the_word_are_made_again() -> None:
    plain, changed = film(), film(Siobhan="Shivawn")
    remade = [one.id for one in SCENES if plain.scene_hash(one.id) != changed.scene_hash(one.id)]
    assert remade == ["a"]
    assert changed.scene_hash("a") != film(Siobhan="Shivorn").scene_hash("a")
    assert plain.content_hash() != changed.content_hash()
