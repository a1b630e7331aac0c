"""The presenters that the worker knows by name: those of personas/, which `avatar/presenters` links to."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from avatar.spec import FliteVoice, RigFace
from avatar.spec.job import Presenter

PRESENTERS = ("nova", "milo", "vera", "amina", "finn", "harjit", "leo", "mei", "walter", "zuri")


class DrawnPresenter(Presenter):
    """A presenter without a likeness, whom flite speaks for."""

    face: RigFace = RigFace()
    voice: FliteVoice = FliteVoice()


def load_presenter(name: str) -> DrawnPresenter:
    """Returns one of `PRESENTERS`, as its file describes it."""
    import yaml

    text = (files("avatar") / "presenters" / f"{name}.yaml").read_text(encoding="utf-8")
    persona: dict[str, Any] = yaml.safe_load(text)
    return DrawnPresenter(face=persona["face"], voice=persona["voice"], **persona["style"])
