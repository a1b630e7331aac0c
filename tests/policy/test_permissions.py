from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from sentences import SentenceSnapshot

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from reference_tables import policy_reference

from policy import PERMISSIONS, Principal, require_permission, roles
from policy.decisions.bundle import load_bundle
from policy.permissions import check_pattern, covers, permission
from policy.roles import parse_roles, role
from soundstage.errors import Forbidden, Invalid

ORDER = ["admin", "a2a-admin", "operator", "editor", "viewer"]


def test_every_permission_is_a_resource_and_an_action_with_a_sentence() -> None:
    names = [known.name for known in PERMISSIONS]
    assert len(set(names)) == len(names)
    for known in PERMISSIONS:
        assert re.fullmatch(r"[a-z0-9_]+:[a-z_]+", known.name)
        assert known.allows.endswith(".") and known.allows[0].isupper()


def test_an_unknown_permission_is_an_error_that_names_a_near_one(snapshot: SentenceSnapshot) -> None:
    with pytest.raises(Invalid) as error:
        permission("render:crate")
    assert (error.value.code, error.value.hint) == (
        "policy.unknown_permission",
        snapshot("near_name"),
    )
    with pytest.raises(Invalid):
        require_permission("render:crate")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("render:create", "render:create", True),
        ("render:create", "render:read", False),
        ("render:*", "render:read", True),
        ("render:*", "renders:read", False),
        ("*:read", "project:read", True),
        ("*:read", "project:update", False),
        ("*", "key:revoke", True),
        ("*:*", "key:revoke", True),
        ("", "key:revoke", False),
        ("render", "render:read", False),
        ("r*:read", "render:read", False),
    ],
)
def test_wildcards_stand_for_whole_words_only(pattern: str, name: str, expected: bool) -> None:
    assert covers(pattern, name) is expected


def test_a_pattern_that_covers_nothing_is_a_slip() -> None:
    assert check_pattern("render:*") == "render:*"
    for pattern in ("renders:*", "render:creat", "", "*:fly"):
        with pytest.raises(Invalid):
            check_pattern(pattern)


def test_each_role_may_all_that_the_role_below_it_may_and_more() -> None:
    assert set(roles()) == set(ORDER)
    for above, below in pairwise(ORDER):
        assert role(above).inherits == below
        assert role(above).permissions > role(below).permissions


def test_the_admin_may_everything() -> None:
    assert role("admin").permissions == {known.name for known in PERMISSIONS}


def test_a_viewer_changes_nothing() -> None:
    effects = load_bundle().data["permissions"]
    assert {effects[name]["effect"] for name in role("viewer").permissions} == {"read"}
    # A door to the tools, of which each needs its own permission.
    assert {name for name in role("viewer").permissions if not name.endswith(":read")} == {"mcp:use"}


@pytest.mark.parametrize(
    ("name", "lowest"),
    [
        ("render:read", "viewer"),
        ("render:create", "editor"),
        ("chat:use", "editor"),
        ("consent:create", "editor"),
        ("persona:delete", "operator"),
        ("voice:read", "viewer"),
        ("voice:create", "editor"),
        ("voice:delete", "operator"),
        ("storage:collect", "operator"),
        ("metrics:read", "operator"),
        ("publication:create", "operator"),
        ("publication:connect", "admin"),
        ("webhook:create", "operator"),
        ("key:create", "a2a-admin"),
        ("backup:restore", "admin"),
    ],
)
def test_a_permission_begins_at_the_role_that_needs_it(name: str, lowest: str) -> None:
    having = [found for found in ORDER if name in role(found).permissions]
    assert having[-1] == lowest


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"a": {"inherits": "b"}, "b": {"inherits": "a"}}, "circle"),
        ({"a": {"inherits": "a"}}, "circle"),
        ({"a": {"inherits": "ghost"}}, "does not exist"),
    ],
)
def test_roles_that_cannot_be_resolved_are_refused(table: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as error:
        parse_roles(table)
    assert error.value.code == "policy.bad_roles"


def test_a_role_that_grants_what_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid) as error:
        parse_roles({"a": {"grants": ["render:fly"]}})
    assert error.value.code == "policy.unknown_permission"


def test_an_unknown_role_lists_the_known_ones() -> None:
    with pytest.raises(Invalid) as error:
        role("root")
    assert "viewer" in error.value.hint


def test_scopes_narrow_a_role_and_never_widen_it() -> None:
    narrowed = Principal("k", "n", "editor", "key", scopes=("render:*", "backup:restore"))
    assert narrowed.may("render:create")
    assert not narrowed.may("project:create")
    assert not narrowed.may("backup:restore")
    assert narrowed.may("self:read")
    nothing = Principal("k", "n", "admin", "key", scopes=())
    assert nothing.permissions == {"self:read"}


def test_a_refusal_says_what_is_missing_and_why() -> None:
    principal = Principal("k", "n", "editor", "key", scopes=("project:*",))
    with pytest.raises(Forbidden, match="render:create, which the scopes of this key"):
        principal.require("render:create")
    with pytest.raises(Forbidden, match="backup:restore, which the role editor"):
        principal.require("backup:restore")
    principal.require("project:read")


def test_asking_for_a_permission_that_does_not_exist_is_never_a_yes() -> None:
    with pytest.raises(Invalid):
        Principal.local_admin().may("render:fly")


def test_the_reference_lists_every_role_and_permission() -> None:
    text = policy_reference()
    assert all(f"| `{known.name}` | {known.allows} |" in text for known in PERMISSIONS)
    assert all(f"| `{name}` |" in text for name in ORDER)
    assert "| superseded | expired, revoked |" in text
