"""A dossier becomes persona, workflow and mock API; what is wrong is told all at once, by JSON pointer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from sentences import SentenceSnapshot

from agent.dossiers.compiling import compile_bytes, compile_dossier
from agent.dossiers.json_schema import example_of
from agent.dossiers.problems import MAX_PROBLEMS, BadDossier, pointer_of
from agent.dossiers.reading import MAX_BYTES, MAX_DEPTH
from studio.personas.yaml_source import parse_persona

SAMPLE = Path(__file__).parents[3] / "docs" / "guide" / "tide-station.dossier.json"


@pytest.fixture
def dossier() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE.read_text())
    return found


def problems(value: Any) -> dict[str, str]:
    """Pointer to sentence."""
    with pytest.raises(BadDossier) as caught:
        compile_dossier(value)
    return {problem.pointer: problem.sentence() for problem in caught.value.problems}


def test_the_sample_becomes_a_persona_a_workflow_and_a_mock_api(dossier: dict[str, Any]) -> None:
    created = compile_bytes(SAMPLE.read_bytes())
    persona = parse_persona(created.agent_yaml, "made.yaml")
    assert (persona.id, persona.name, persona.tools) == ("tide-station-desk", "Tide Station Desk", ())
    assert "tides" in persona.description and persona.title.startswith("Desk, Storm watch")

    steps = {step.id: step for step in created.workflow.steps}
    assert [step.priority for step in created.workflow.steps] == [10, 9, 5, 4, 3]
    assert created.workflow.start == "watch-surge"
    assert steps["watch-surge"].next == "take-request" and steps["take-request"].next == "withdraw"
    assert created.workflow.reacts == ("answer-tide", "judge")
    assert steps["watch-surge"].when == ("height_cm > `450`",)
    [tide] = steps["answer-tide"].calls
    assert (tide.kind, tide.target, tide.path, tide.retries) == (
        "function",
        "fn-tide-at",
        "/functions/tideat",
        2,
    )
    [withdraw] = steps["withdraw"].calls
    assert (withdraw.kind, withdraw.method, withdraw.path) == (
        "endpoint",
        "DELETE",
        "/endpoints/withdraw-request",
    )
    [judge] = steps["judge"].calls
    assert (judge.kind, judge.path) == ("script", "/stubs/judge-a-request")
    for step in steps.values():
        for call in step.calls:
            assert created.api["paths"][call.path][call.method.lower()]["operationId"] == call.operation
    answer = created.api["paths"]["/functions/tideat"]["post"]["responses"]["200"]["content"][
        "application/json"
    ]
    assert answer["example"] == {"height_cm": 214, "rising": True, "next_high": "2026-01-31T12:00:00Z"}
    assert len(created.warnings) == 2 and created == compile_dossier({"dossier_json": dossier})


def test_what_a_dossier_says_never_becomes_code_or_a_path(dossier: dict[str, Any]) -> None:
    evil = "../../etc/passwd\u0000\n{{ 7*7 }}; DROP"
    text = json.dumps(dossier).replace("Tide Station Desk", "x").replace("os.system", "OS_SYSTEM")
    changed = json.loads(text)
    changed["header"]["domainName"] = evil
    definitions = changed["dossierSpecificDefinitions"]
    definitions["functionCatalogEntries"][0]["name"] = evil
    definitions["endpoints"][0]["name"] = "/../admin?x=1#y"
    definitions["agenticTriplets"][0]["tripletId"] = "tri-../../x"
    created = compile_dossier(changed)
    assert created.agent_id == "etc-passwd-7-7-drop"
    for path in created.api["paths"]:
        assert set(path) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/") and ".." not in path
    assert "OS_SYSTEM" not in created.model_dump_json(), "scripts are left out"
    assert parse_persona(created.agent_yaml, "x.yaml").name == "../../etc/passwd {{ 7*7 }}; DROP"


def test_two_functions_of_one_name_get_two_paths(dossier: dict[str, Any]) -> None:
    for function in dossier["dossierSpecificDefinitions"]["functionCatalogEntries"]:
        function["name"] = "Ask"
    created = compile_dossier(dossier)
    assert {"/functions/ask", "/functions/ask-2", "/functions/ask-3"} <= created.api["paths"].keys()


def test_every_fault_is_told_at_once_with_its_place(dossier: dict[str, Any]) -> None:
    header, definitions = dossier["header"], dossier["dossierSpecificDefinitions"]
    header["disSpecificationRef"] = "1.5.0"
    header["version"] = "one"
    del header["dossierId"]
    triplets, entries = definitions["agenticTriplets"], definitions["tripletFunctionMatrixEntries"]
    triplets[0]["modeId"] = "REPSOND"
    triplets[1]["entityId"] = "e-nothing"
    triplets[2]["priority"] = 11
    triplets[3]["tripletId"] = "tri-take-request"
    triplets.append("no object")
    entries[0]["executionBinding"] = {}
    entries[1]["executionBinding"] = {"magicBinding": {}}
    del entries[2]["executionBinding"]
    entries[3]["executionBinding"]["endpointExecutionBinding"]["endpointId"] = 7
    functions = definitions["functionCatalogEntries"]
    functions[0]["inputSchema"]["properties"]["a/b~c"] = {"type": "text"}
    functions[1]["outputSchema"] = []
    definitions["entities"][0]["name"] = ""
    output = problems(dossier)
    base = "/dossierSpecificDefinitions"
    sent = f"{base}/tripletFunctionMatrixEntries/3/executionBinding/endpointExecutionBinding"
    expected = {
        "/header": "`dossierId` is missing",
        "/header/disSpecificationRef": "1.6.0 is understood here",
        "/header/version": "no version",
        f"{base}/agenticTriplets/0/modeId": "Did you mean RESPOND?",
        f"{base}/agenticTriplets/1/entityId": "no entity 'e-nothing'",
        f"{base}/agenticTriplets/2/priority": "from 1 to 10",
        f"{base}/agenticTriplets/3": "is taken",
        f"{base}/agenticTriplets/5": "a text, and must be an object",
        f"{base}/tripletFunctionMatrixEntries/0/executionBinding": "there are 0",
        f"{base}/tripletFunctionMatrixEntries/1/executionBinding/magicBinding": "no such kind",
        f"{base}/tripletFunctionMatrixEntries/2": "`executionBinding` is missing",
        f"{sent}/endpointId": "a number",
        f"{base}/functionCatalogEntries/0/inputSchema/properties/a~1b~0c/type": "no type 'text'",
        f"{base}/functionCatalogEntries/1/outputSchema": "must be an object",
        f"{base}/entities/0/name": "empty",
    }
    assert output.keys() == expected.keys()
    for pointer, sentence in expected.items():
        assert sentence in output[pointer], output[pointer]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Expecting value"),
        (b"{", "Line 1, column 2"),
        (b"\xff\xfe", "Byte 0 is not UTF-8"),
        (b"[]", "JSON object with `header`"),
        (b"{}", "`header` is missing"),
        (b'{"header": {"version": 1, "version": 2}}', "'version' stands twice"),
        (b'{"header": NaN}', "NaN is not JSON"),
        (b'{"header": 1e999}', "too large"),
        (b'{"header": ' + b"9" * 5000 + b"}", "more than 40 digits"),
        (b'{"header": "\\ud800"}', "surrogate"),
        (b"[" * 100_000, f"more than {MAX_DEPTH} levels"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, f"more than {MAX_DEPTH} levels"),
        (b" " * (MAX_BYTES + 1), "the limit is"),
        (b"[" + b"1," * 300_000 + b"1]", "more than 200000 values"),
        # Whatever tries each quote, or each name, once more for all the others would take hours for these.
        (b'"' + b'\\"' * 1_000_000, "Unterminated string"),
        (b"{" + b",".join(b'"%d":1' % min(n, 189_999) for n in range(190_001)) + b"}", "'189999' stands"),
        (b'{"header": null, "dossierSpecificDefinitions": 7}', "a number, and must be an object"),
    ],
)
def test_what_is_no_dossier_is_told_before_anything_is_built(content: bytes, told: str) -> None:
    with pytest.raises(BadDossier) as caught:
        compile_bytes(content)
    assert any(told in problem.message for problem in caught.value.problems)


def test_names_that_mean_nothing_are_warnings_with_what_was_meant(
    dossier: dict[str, Any], snapshot: SentenceSnapshot
) -> None:
    definitions = dossier["dossierSpecificDefinitions"]
    definitions["AgenticTriplets"] = definitions.pop("agenticTriplets")
    definitions["entitees"] = []
    dossier["header"]["colour"] = "red"
    output = {problem.pointer: problem for problem in compile_dossier(dossier).warnings}
    assert output["/dossierSpecificDefinitions/entitees"].hint == snapshot("near_name")
    assert "/header/colour" in output


def test_only_so_many_unknown_names_are_told_one_by_one(
    dossier: dict[str, Any], snapshot: SentenceSnapshot
) -> None:
    dossier["header"] |= {f"strange{number}": 1 for number in range(5000)}
    output = [one for one in compile_dossier(dossier).warnings if one.pointer.startswith("/header")]
    assert len(output) == MAX_PROBLEMS + 1
    assert output[-1].message == snapshot("more_names", count=5000 - MAX_PROBLEMS)


def test_lists_within_lists_make_no_example_that_is_many_times_their_schema() -> None:
    leaf: dict[str, Any] = {"type": "object", "properties": {f"p{n}": {"type": "null"} for n in range(1000)}}
    schema = leaf
    for _ in range(7):
        schema = {"type": "array", "minItems": 3, "items": schema}
    found = example_of({"type": "object", "properties": {"grid": schema, "row": schema["items"]}})
    assert len(found["grid"]) == 3
    assert len(json.dumps(found)) < 20 * len(json.dumps(schema))


def test_any_value_put_anywhere_is_an_error_and_no_crash(dossier: dict[str, Any]) -> None:
    """Every place of the sample takes every kind of value once."""

    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        return [path] + [place for key, one in inner for place in places(one, (*path, key))]

    for place in places(dossier):
        for wrong in (None, 7, -1.5, True, "x" * 300, [], {}, [[]], {"$ref": "#"}):
            changed = copy.deepcopy(dossier)
            if not place:
                changed = wrong
            else:
                inner: Any = changed
                for key in place[:-1]:
                    inner = inner[key]
                inner[place[-1]] = wrong
            try:
                compile_dossier(changed).model_dump_json()
            except BadDossier as error:
                assert error.problems and all(problem.message for problem in error.problems)


def test_pointers_are_escaped_as_rfc_6901_says() -> None:
    assert pointer_of("a/b", 0, "m~n", "") == "/a~1b/0/m~0n/"
