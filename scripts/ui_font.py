# /// script
# requires-python = ">=3.11"
# dependencies = ["fonttools==4.68.0", "brotli==1.2.1"]
# ///
"""Writes the part of Inter that the page loads first: `uv run scripts/ui_font.py`, after `ui/build modules`.

Letters of English and German in the weights of the page are a third of the bytes of Fontsource's Latin file.
A character that is not in it makes the browser load that file, as before.
"""

from __future__ import annotations

import io
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

UI = Path(__file__).parents[1] / "ui"
SOURCE = UI / "node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
FOLDER = UI / "src/kit/fonts"
WEIGHTS = (400, 700)
FEATURES = ["kern", "tnum"]
CHARACTERS = {*map(chr, range(0x20, 0x7F)), *"\u00a0äöüÄÖÜßéèà©«»°·×−“”‘’„‚–—…€↑↓"}
CSS = """\
/* Written by scripts/ui_font.py. It stands behind the files of Fontsource: of faces that have a character the
 * last one is used. The weights are declared as theirs, or the faces would not complete each other. */
@font-face {{
  font-family: "Inter Variable";
  font-style: normal;
  font-display: swap;
  font-weight: 100 900;
  src: url("./inter.woff2") format("woff2");
  unicode-range: {ranges};
}}
"""


def main() -> None:
    font = instantiateVariableFont(TTFont(SOURCE), {"wght": WEIGHTS})
    instance = io.BytesIO()
    font.save(instance)
    instance.seek(0)
    font = TTFont(instance)
    options = Options(flavor="woff2", layout_features=FEATURES, hinting=False, notdef_outline=True)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=sorted(map(ord, CHARACTERS)))
    subsetter.subset(font)
    has = sorted(font.getBestCmap())
    font.flavor = "woff2"
    FOLDER.mkdir(exist_ok=True)
    font.save(FOLDER / "inter.woff2")
    (FOLDER / "inter.css").write_text(CSS.format(ranges=ranges(has)))


def ranges(codes: list[int]) -> str:
    """Returns the sorted code points as `unicode-range` wants them."""
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return ", ".join(f"U+{first:X}" if first == last else f"U+{first:X}-{last:X}" for first, last in spans)


if __name__ == "__main__":
    main()
