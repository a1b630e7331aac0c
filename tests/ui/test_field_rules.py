"""The rules of fields: generated from the API, checked as it checks, and written by hand nowhere."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from studio_page import REPOSITORY, run_script

UI = REPOSITORY / "ui"
SOURCES = UI / "src"
TAG = re.compile(r"<(input|textarea|Field|RenameField)\b(.*?)/>", re.DOTALL)
LIMIT = re.compile(r"\s(maxLength|minLength|min|max|pattern|step)=")
FIGURE = re.compile(
    r"const (?:MAX|MIN|LONGEST|SHORTEST)_\w*(?:CHARS|LENGTH|TITLE|NAME|TEXT|REASON|POINTS)\w* = [\d{]"
)
OF_THE_PAGE = {
    "MAX_ALOUD_CHARS": "how much of an answer is read aloud",
    "MAX_NAMED": "how many things of a list are named",
    "MAX_CHARS": "how much of a log is kept in the page",
    "LONGEST_NAME": "where the page cuts a name that it makes up itself",
}
"""Figures that no request has to keep."""

TEXT: dict[str, Any] = {"minLength": 2, "maxLength": 4}
WORD = {"required": True, "pattern": "^[a-z]+$"}
COUNT = {"type": "integer", "minimum": 0, "maximum": 1000}
SHARE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.1}
FAULTS = [
    ("", TEXT, {"rule": "empty"}),
    ("  ", WORD, {"rule": "empty"}),
    ("", {"maxLength": 4}, None),
    ("abcde", TEXT, {"rule": "maxLength", "chars": 5, "limit": 4}),
    ("a", TEXT, {"rule": "minLength", "chars": 1, "limit": 2}),
    # The server counts code points.
    ("🙂🙂🙂🙂", TEXT, None),
    ("🙂", TEXT, {"rule": "minLength", "chars": 1, "limit": 2}),
    ("Ab", WORD, {"rule": "pattern"}),
    (" ab ", WORD, None),
    ("x", COUNT, {"rule": "number"}),
    ("1.5", COUNT, {"rule": "integer"}),
    ("-1", COUNT, {"rule": "minimum", "limit": 0}),
    ("1001", COUNT, {"rule": "maximum", "limit": 1000}),
    ("1000", COUNT, None),
    ("0", SHARE, {"rule": "exclusiveMinimum", "limit": 0}),
    ("1", SHARE, {"rule": "exclusiveMaximum", "limit": 1}),
    ("0.25", SHARE, {"rule": "multipleOf", "limit": 0.1}),
    ("0.3", SHARE, None),
]


def call_rules(folder: Path, *calls: tuple[Any, ...]) -> list[Any]:
    """Returns what the functions of the page return."""
    return list(run_script(Path(__file__).with_name("rules_calls.ts"), folder, json.dumps(calls)))


def test_a_value_is_checked_as_the_server_checks_it(built_page: None, tmp_path: Path) -> None:
    found = call_rules(tmp_path, *(("faultOf", text, limit) for text, limit, _ in FAULTS))
    assert [(text, one) for (text, _, _), one in zip(FAULTS, found, strict=True)] == [
        (text, fault) for text, _, fault in FAULTS
    ]


def test_a_list_is_checked_with_what_is_in_it_and_a_share_in_percent(
    built_page: None, tmp_path: Path
) -> None:
    tags = {"maxItems": 2, "items": TEXT}
    many, long, good, percent, optional = call_rules(
        tmp_path,
        ("listFault", ["ab", "ab", "ab"], tags),
        ("listFault", ["ab", "abcde"], tags),
        ("listFault", ["ab"], tags),
        ("scaled", SHARE, 100),
        ("faultOf", "", TEXT, False),
    )
    assert many == {"rule": "maxItems", "count": 3, "limit": 2}
    assert long == {"rule": "maxLength", "chars": 5, "limit": 4}
    assert good is None and optional is None
    assert (percent["exclusiveMaximum"], percent["multipleOf"]) == (100, 10)


def test_what_more_typing_may_mend_is_not_told_yet(built_page: None, tmp_path: Path) -> None:
    lasting = [{"rule": "maxLength"}, {"rule": "maximum", "limit": 9}, {"rule": "minimum", "limit": -9}]
    mended = [{"rule": "empty"}, {"rule": "minLength", "limit": 2}, {"rule": "minimum", "limit": 10}]
    found = call_rules(tmp_path, *(("isLasting", one) for one in (*lasting, *mended)))
    assert found == [True] * 3 + [False] * 3


def test_a_refusal_is_taken_apart_by_the_fields_that_it_names(built_page: None, tmp_path: Path) -> None:
    unreadable = {
        "code": "request.invalid",
        "hint": "The API reference is at /docs.",
        "errors": [{"path": "body.consent.person", "message": "it needs words"}],
    }
    ours = {
        "code": "snapshot.exists",
        "hint": "Choose another.",
        "errors": [{"path": "body.name", "message": "Taken."}],
    }
    assert call_rules(
        tmp_path, ("refusedFields", unreadable), ("refusedFields", ours), ("refusedFields", {})
    ) == [
        [["consent.person", "It needs words"]],
        [["name", "Taken. Choose another."]],
        [],
    ]


def limits_by_hand(name: str, text: str) -> list[str]:
    """Returns the limits that a source file writes itself."""
    tags = [f"{name}: <{tag} {found}" for tag, rest in TAG.findall(text) for found in LIMIT.findall(rest)]
    figures = [f"{name}: {one}" for one in FIGURE.findall(text) if one.split()[1] not in OF_THE_PAGE]
    return tags + figures


def test_no_limit_is_written_by_hand() -> None:
    wrong = "<Field of={KeyRequest} maxLength={80} />\nconst MAX_TITLE_CHARS = 200;"
    assert len(limits_by_hand("x.tsx", wrong)) == 2
    sources = [
        one for one in SOURCES.rglob("*.ts*") if one.name not in ("limits.ts", "schema.d.ts", "Field.tsx")
    ]
    assert len(sources) > 100
    assert [one for path in sources for one in limits_by_hand(path.name, path.read_text())] == []


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ('of: KeyRequest, name: "name"', ""),
        ('of: KeyRequest, name: "nmae"', '"nmae"'),
        # Nobody reads a regular expression: a field with one has words for it.
        ('of: KeyRequest, name: "tenant"', "patternWords"),
        ('of: KeyRequest, name: "tenant", patternWords: "small letters"', ""),
    ],
)
def test_a_field_that_the_api_lacks_does_not_compile(
    built_page: None, tmp_path: Path, attributes: str, error: str
) -> None:
    imports = {"api/limits": "KeyRequest", "kit/Field": "Field"}
    lines = [f'import {{ {name} }} from "{SOURCES}/{path}";' for path, name in imports.items()]
    call = f'Field({{ {attributes}, label: "x", value: "", onChange: () => undefined }});'
    (tmp_path / "field.ts").write_text("\n".join([*lines, call]))
    options = {"extends": f"{UI}/tsconfig.json", "compilerOptions": {"types": []}, "include": ["field.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(options))
    compiler = [UI / "node_modules" / ".bin" / "tsc", "--project", tmp_path]
    ran = subprocess.run(compiler, capture_output=True, text=True, check=False)
    found = ran.stdout.partition("field.ts(")[2]
    assert error in found if error else found == "", ran.stdout
