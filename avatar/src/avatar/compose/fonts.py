"""Finds the fonts of the machine by walking their usual folders, and says which one can draw a character."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import skia

from avatar.errors import Unavailable

PREFERRED = ("Noto Sans", "Open Sans", "Inter", "DejaVu Sans", "Liberation Sans", "Arial", "Helvetica Neue")
"""Families for plain text, best first; any other font stands in for characters they lack."""

_SUFFIXES = {".ttf", ".otf", ".ttc"}
_COMMON = [chr(code) for code in (*range(0x21, 0x7F), 0xE4, 0xE9, 0xF1, 0x2019)]


def font_folders() -> list[Path]:
    """Returns where fonts lie on Linux and macOS, the user's own first."""
    data = os.environ.get("XDG_DATA_HOME")
    home = Path.home()
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    return [
        (Path(data) if data else home / ".local/share") / "fonts",
        home / ".fonts",
        Path("/usr/local/share/fonts"),
        Path("/usr/share/fonts"),
    ]


@dataclass(frozen=True)
class Fonts:
    """The fonts under some folders, opened when first asked for. Not to be shared between threads."""

    folders: tuple[Path, ...]

    @classmethod
    def of_this_machine(cls) -> Fonts:
        return cls(tuple(font_folders()))

    @cached_property
    def typefaces(self) -> list[skia.Typeface]:
        """Every font that can be opened, sorted by path so that the choice is the same each time."""
        manager = skia.FontMgr.New_Custom_Empty()  # the default manager would start fontconfig
        opened = (manager.makeFromFile(str(path)) for path in sorted(self._files()))
        return [typeface for typeface in opened if typeface is not None]

    @cached_property
    def by_family(self) -> dict[str, list[skia.Typeface]]:
        found: dict[str, list[skia.Typeface]] = {}
        for typeface in self.typefaces:
            found.setdefault(typeface.getFamilyName(), []).append(typeface)
        return found

    @cached_property
    def families(self) -> list[str]:
        """Families to try in order, for plain text.

        Raises `Unavailable` (`text.no_font`) when there is no font.
        """
        if not self.by_family:
            raise Unavailable(
                "text.no_font",
                "There is no font on this machine, so captions and text overlays cannot be drawn.",
                "Install one: apt-get install fonts-dejavu-core.",
            )
        preferred = [family for family in PREFERRED if family in self.by_family]
        return preferred or [max(sorted(self.by_family), key=lambda family: self._count(family, _COMMON))]

    @cached_property
    def collection(self) -> skia.textlayout.FontCollection:
        """The fonts as skia's paragraph layout wants them."""
        provider = skia.textlayout.TypefaceFontProvider()
        for typeface in self.typefaces:
            provider.registerTypeface(typeface)
        collection = skia.textlayout.FontCollection()
        collection.setDefaultFontManager(provider)
        return collection

    def families_for(self, text: str, first: str | None = None) -> list[str]:
        """`first` where it is here, the families for plain text, then those that add what `text` needs
        beyond them.
        """
        families = list(self.families)
        if first is not None and (known := self.find_family(first)) is not None:
            families.insert(0, known)
        missing = [char for char in _visible(text) if not self._drawn_by(families, char)]
        while missing:
            best = max(sorted(self.by_family), key=lambda family: self._count(family, missing))
            if not self._count(best, missing):
                break
            families.append(best)
            missing = [char for char in missing if not self._drawn_by([best], char)]
        return families

    def find_family(self, family: str) -> str | None:
        """Returns the family as the machine spells it; None where it has none of that name."""
        folded = family.casefold()
        return next((name for name in self.by_family if name.casefold() == folded), None)

    def missing(self, text: str) -> list[str]:
        """Characters of `text` that no font here can draw."""
        common = self.families
        rest = [char for char in _visible(text) if not self._drawn_by(common, char)]
        return [char for char in rest if not self._drawn_by(list(self.by_family), char)]

    def _files(self) -> Iterator[Path]:
        for folder in self.folders:
            for root, _, names in os.walk(folder):
                yield from (Path(root) / name for name in names if Path(name).suffix.lower() in _SUFFIXES)

    def _drawn_by(self, families: list[str], char: str) -> bool:
        return any(face.unicharToGlyph(ord(char)) for name in families for face in self.by_family[name])

    def _count(self, family: str, chars: list[str]) -> int:
        return sum(self._drawn_by([family], char) for char in chars)


def _visible(text: str) -> list[str]:
    """Each character once, without spaces, joiners, direction marks and variation selectors."""
    return [char for char in dict.fromkeys(text) if not _invisible(char)]


def _invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zs", "Zl", "Zp") or ord(char) in range(0xFE00, 0xFE10)
