"""The presenters that the worker knows by name, as the files in personas/ say them."""

from __future__ import annotations

from typing import NamedTuple

from avatar.spec import Design, EspeakVoice, FliteVoice, Mood, Movement, RigFace


class ShippedPresenter(NamedTuple):
    """Face, voice, movement, language and mood of one presenter."""

    face: RigFace
    voice: FliteVoice
    movement: Movement
    language: str
    mood: Mood = "neutral"


PRESENTERS: dict[str, ShippedPresenter] = {
    "nova": ShippedPresenter(RigFace(), FliteVoice(pace=0.94, pitch=-0.8), Movement(), "en-us"),
    "milo": ShippedPresenter(
        RigFace(character="milo"),
        FliteVoice(voice="rms", otherwise=EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=42)),
        Movement(manner="calm"),
        "en-gb",
    ),
    "vera": ShippedPresenter(
        RigFace(character="vera"),
        FliteVoice(pitch=-2.2, otherwise=EspeakVoice(variant="f4", rate_wpm=165, pitch=46)),
        Movement(head=0.7, nods=0.8),
        "en-us",
    ),
    "amina": ShippedPresenter(
        RigFace(
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
        FliteVoice(
            voice="slt",
            pace=0.96,
            pitch=-0.2,
            otherwise=EspeakVoice(voice="en-us", variant="f3", rate_wpm=160, pitch=52),
        ),
        Movement(manner="natural"),
        "en-us",
        "warm",
    ),
    "finn": ShippedPresenter(
        RigFace(design=Design(kind="fox", clothes="hoodie", clothes_colour="#3f7f6d", set="study")),
        FliteVoice(
            voice="rms",
            pace=1.08,
            pitch=3.0,
            otherwise=EspeakVoice(voice="en-us", variant="m4", rate_wpm=170, pitch=70),
        ),
        Movement(manner="lively"),
        "en-us",
        "excited",
    ),
    "harjit": ShippedPresenter(
        RigFace(
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
        FliteVoice(
            voice="rms",
            pace=1.0,
            pitch=-0.8,
            otherwise=EspeakVoice(voice="en-gb", variant="m3", rate_wpm=155, pitch=38),
        ),
        Movement(manner="calm"),
        "en-gb",
    ),
    "leo": ShippedPresenter(
        RigFace(
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
                set="study",
            )
        ),
        FliteVoice(
            voice="rms",
            pace=1.06,
            pitch=1.2,
            otherwise=EspeakVoice(voice="en-us", variant="m1", rate_wpm=170, pitch=58),
        ),
        Movement(manner="lively"),
        "en-us",
        "warm",
    ),
    "mei": ShippedPresenter(
        RigFace(
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
        FliteVoice(
            voice="slt",
            pace=0.98,
            pitch=0.6,
            otherwise=EspeakVoice(voice="en-us", variant="f2", rate_wpm=160, pitch=56),
        ),
        Movement(manner="natural"),
        "en-us",
    ),
    "walter": ShippedPresenter(
        RigFace(
            design=Design(
                age="older",
                face="round",
                skin="light",
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
        FliteVoice(
            voice="awb",
            pace=0.9,
            pitch=-1.6,
            otherwise=EspeakVoice(voice="en-gb", variant="m2", rate_wpm=140, pitch=30),
        ),
        Movement(manner="calm"),
        "en-gb",
        "warm",
    ),
    "zuri": ShippedPresenter(
        RigFace(
            design=Design(
                face="oval",
                skin="deep",
                hair="curly",
                hair_colour="#2a1a16",
                eyes="#3a2212",
                lashes=0.9,
                lips="#94413f",
                earrings=True,
                clothes="jumper",
                clothes_colour="#d9603f",
                set="study",
            )
        ),
        FliteVoice(
            voice="slt",
            pace=1.0,
            pitch=-1.4,
            otherwise=EspeakVoice(voice="en-us", variant="f4", rate_wpm=165, pitch=44),
        ),
        Movement(manner="lively"),
        "en-us",
        "warm",
    ),
}
