"""The presenters that the worker knows by name, as the files in personas/ say them."""

from __future__ import annotations

from avatar.spec import Design, EspeakVoice, FliteVoice, Movement, RigFace
from avatar.spec.job import Presenter


class DrawnPresenter(Presenter):
    """A presenter without a likeness, whom flite speaks for."""

    face: RigFace = RigFace()
    voice: FliteVoice = FliteVoice()


PRESENTERS: dict[str, DrawnPresenter] = {
    "nova": DrawnPresenter(voice=FliteVoice(pace=0.94, pitch=-0.8)),
    "milo": DrawnPresenter(
        face=RigFace(character="milo"),
        voice=FliteVoice(
            voice="rms", otherwise=EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=42)
        ),
        movement=Movement(manner="calm"),
        language="en-gb",
    ),
    "vera": DrawnPresenter(
        face=RigFace(character="vera"),
        voice=FliteVoice(pitch=-2.2, otherwise=EspeakVoice(variant="f4", rate_wpm=165, pitch=46)),
        movement=Movement(head=0.7, nods=0.8),
    ),
    "amina": DrawnPresenter(
        face=RigFace(
            design=Design(
                face="heart",
                skin="tan",
                hair="headscarf",
                hair_colour="#2f7f86",
                eyes="#4a2f1c",
                lashes=0.9,
                lips="#b0574f",
                clothes="blazer",
                clothes_colour="#3d3550",
                set="library",
            )
        ),
        voice=FliteVoice(pace=0.96, pitch=-0.2, otherwise=EspeakVoice(variant="f3", pitch=52)),
        mood="warm",
    ),
    "finn": DrawnPresenter(
        face=RigFace(design=Design(kind="fox", clothes="hoodie", clothes_colour="#3f7f6d")),
        voice=FliteVoice(
            voice="rms", pace=1.08, pitch=3.0, otherwise=EspeakVoice(variant="m4", rate_wpm=170, pitch=70)
        ),
        movement=Movement(manner="lively"),
        mood="excited",
    ),
    "harjit": DrawnPresenter(
        face=RigFace(
            design=Design(
                face="long",
                skin="brown",
                hair="turban",
                hair_colour="#b23a48",
                beard="full",
                eyes="#3a2415",
                lashes=0.2,
                glasses="square",
                clothes="shirt",
                clothes_colour="#8fb3cf",
                set="living-room",
            )
        ),
        voice=FliteVoice(
            voice="rms",
            pitch=-0.8,
            otherwise=EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=38),
        ),
        movement=Movement(manner="calm"),
        language="en-gb",
    ),
    "leo": DrawnPresenter(
        face=RigFace(
            design=Design(
                face="square",
                skin="porcelain",
                hair="short",
                hair_colour="#a4482a",
                beard="stubble",
                eyes="#5d7a4e",
                lashes=0.2,
                freckles=True,
                clothes="hoodie",
                clothes_colour="#3c5a8c",
                wheelchair=True,
            )
        ),
        voice=FliteVoice(
            voice="rms", pace=1.06, pitch=1.2, otherwise=EspeakVoice(variant="m1", rate_wpm=170, pitch=58)
        ),
        movement=Movement(manner="lively"),
        mood="warm",
    ),
    "mei": DrawnPresenter(
        face=RigFace(
            design=Design(
                face="round",
                skin="olive",
                hair="bun",
                hair_colour="#221a1c",
                eyes="#3a2617",
                lashes=0.6,
                clothes="shirt",
                clothes_colour="#e3dccf",
                set="living-room",
            )
        ),
        voice=FliteVoice(pace=0.98, pitch=0.6, otherwise=EspeakVoice(pitch=56)),
    ),
    "walter": DrawnPresenter(
        face=RigFace(
            design=Design(
                age="older",
                face="round",
                hair="bald",
                hair_colour="#c9c7cc",
                beard="full",
                brows=1.25,
                eyes="#5a7f8e",
                lashes=0.1,
                glasses="round",
                clothes="cardigan",
                clothes_colour="#4f7f5a",
                set="library",
            )
        ),
        voice=FliteVoice(
            voice="awb",
            pace=0.9,
            pitch=-1.6,
            otherwise=EspeakVoice(voice="en-gb", variant="m2", rate_wpm=140, pitch=30),
        ),
        movement=Movement(manner="calm"),
        language="en-gb",
        mood="warm",
    ),
    "zuri": DrawnPresenter(
        face=RigFace(
            design=Design(
                skin="deep",
                hair="curly",
                hair_colour="#2a1a16",
                eyes="#3a2212",
                lashes=0.9,
                lips="#94413f",
                earrings=True,
                clothes_colour="#d9603f",
            )
        ),
        voice=FliteVoice(pitch=-1.4, otherwise=EspeakVoice(variant="f4", rate_wpm=165, pitch=44)),
        movement=Movement(manner="lively"),
        mood="warm",
    ),
}
