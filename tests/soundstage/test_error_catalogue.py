from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from error_codes import DeclaredCode, HiddenCode, error_reference, read_codes

ROOT = Path(__file__).parents[2]
ROOMS = ("soundstage", "policy", "studio", "farm", "provisioning_api", "agent", "app")
PACKAGES = [ROOT / name for name in ROOMS]
WORKER = ROOT / "avatar" / "src" / "avatar"

Catalogue = tuple[list[DeclaredCode], list[HiddenCode]]

SOURCE = """
from soundstage.errors import NotFound, Unavailable, TooLarge

HINT = "Try again."

class Gone(NotFound):
    pass

def fail(size, error):
    raise NotFound("thing.missing", f"There is no {size} thing.", HINT)
    raise Gone(code="thing.gone", message="It is " + "gone.")
    raise TooLarge("thing.small" if size else "thing.big", "No.", status=499)
    raise Unavailable(size, "The code is not written here.")
    raise Failed(code=error.code, message="passed on")
    raise Failed(code="thing.failed", message="In a worker | or for it.")
"""


def test_codes_are_read_with_status_sentence_and_hint(tmp_path: Path) -> None:
    package = tmp_path / "room"
    package.mkdir()
    (package / "errors.py").write_text(SOURCE)
    declared, hidden = read_codes([package])
    assert [(found.code, found.status, found.message, found.hint) for found in declared] == [
        ("thing.big", 499, "No.", ""),
        ("thing.failed", None, "In a worker | or for it.", ""),
        ("thing.gone", 404, "It is gone.", ""),
        ("thing.missing", 404, "There is no … thing.", "Try again."),
        ("thing.small", 499, "No.", ""),
    ]
    assert [found.where for found in hidden] == ["room/errors.py:13"]
    assert "| `thing.failed` | – | In a worker \\| or for it. |  |" in error_reference([package])


def test_a_code_of_many_places_is_told_with_its_status_and_its_hint(tmp_path: Path) -> None:
    package = tmp_path / "room"
    package.mkdir()
    raised = (
        ("a", 'Failed("thing.gone", "It went.", "Wait.")'),
        ("b", 'NotFound("thing.gone", "No.")'),
        ("c", 'NotFound("thing.gone", "It is gone.", "Look elsewhere.")'),
    )
    for name, call in raised:
        (package / f"{name}.py").write_text(f"raise {call}\n")
    (row,) = [line for line in error_reference([package]).splitlines() if "thing.gone" in line]
    assert row == "| `thing.gone` | 404 | It is gone. | Look elsewhere. |"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_codes([*PACKAGES, WORKER])


def test_every_code_of_the_project_is_written_where_it_is_raised(catalogue: Catalogue) -> None:
    declared, hidden = catalogue
    assert not hidden, "the page of error codes cannot list these"
    assert "project.changed" in {found.code for found in declared}
    assert {"project.not_found", "request.invalid", "internal.unexpected", "auth.required"} <= {
        found.code for found in declared
    }


def test_every_error_says_what_happened(catalogue: Catalogue) -> None:
    silent = [found.where for found in catalogue[0] if not found.message.strip()]
    assert not silent


def test_one_code_means_one_status(catalogue: Catalogue) -> None:
    statuses: dict[str, set[int]] = {}
    for found in catalogue[0]:
        # The worker answers no requests.
        if found.status is not None and not found.where.startswith(f"{WORKER.name}/"):
            statuses.setdefault(found.code, set()).add(found.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}
