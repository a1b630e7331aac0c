"""Every page of docs/ has its place in the contents: a page that nobody is led to is not read."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_contents_and_the_contents_name_no_other() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages)


def test_decisions_are_listed_in_their_order() -> None:
    listed = re.findall(r'- "(\d{4}) [^"]+": decisions/(\d{4})-', (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert [number for number, _ in listed] == [file for _, file in listed] == sorted(n for n, _ in listed)
