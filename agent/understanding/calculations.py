"""Recognises calculations in words: “24 times 365”, “and divided by 12”."""

from __future__ import annotations

import re

from agent.understanding.values import words

_THOUSANDS = re.compile(r"\d[.,]\d{3}\b")
"""May be a thousand, or a number with three decimals."""
_NUMBER = r"\d+(?:[.,]\d+)?"
_LEADS_ON = "and|und|now|then|jetzt|nun|dann|ok|okay|please|bitte|that|it|das|es|again|noch"


def calculation(text: str) -> str | None:
    """Returns the code of the one calculation with numbers that a text has in words: “24 times 365”."""
    found: list[str] = re.findall(rf"{_NUMBER}(?: +(?:{_operators()}) +{_NUMBER})*", text, re.IGNORECASE)
    if len(found) != 1 or found[0].replace(",", ".").replace(".", "").isdigit():
        return None
    return _with_signs(found[0])


def further_calculation(text: str, code: str) -> str | None:
    """Returns the code that goes on with the calculation `code` where a text says no more: “and divided by
    12”.
    """
    step = rf"(?:{_operators()}) +{_NUMBER}"
    pattern = rf"\W*(?:(?:{_LEADS_ON})\W+)*({step}(?: +{step})*)[\s.?!]*"
    found = re.fullmatch(pattern, text, re.IGNORECASE)
    if found is None or not re.fullmatch(r"[\d\s.+*/()%-]+", code) or _THOUSANDS.search(found[1]):
        return None
    return f"({code}){_with_signs(f' {found[1]}')}"


def _operators() -> str:
    return "|".join(re.escape(one) for one in sorted(words().operators, key=len, reverse=True))


def _with_signs(calculation: str) -> str:
    """Returns a calculation in words with the signs of the language of code."""
    signs = words().operators
    code = re.sub(
        rf" +({_operators()}) +",
        lambda match: f" {signs[match[1].lower()]} ",
        calculation,
        flags=re.IGNORECASE,
    )
    return code.replace(",", ".")
