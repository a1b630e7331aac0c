package soundstage.authz_test

import rego.v1

import data.soundstage.authz

roles := {
	"viewer": {"grants": ["render:read"]},
	"editor": {"inherits": "viewer", "grants": ["render:*"]},
	"auditor": {"grants": ["*:read"]},
	"everything": {"inherits": "editor", "grants": ["*:*"]},
	"admin": {"inherits": "editor", "grants": ["*"]},
	"lonely": {"inherits": "nobody", "grants": []},
}

permissions := {
	"render:read": {"effect": "read"},
	"render:create": {"effect": "write"},
	"key:read": {"effect": "read"},
	"key:create": {"effect": "write"},
	"self:read": {"effect": "read"},
}

question(role, permission) := {
	"action": {"kind": "route", "name": "GET /x", "permission": permission, "effect": null},
	"subject": {
		"id": "key_1",
		"kind": "key",
		"role": role,
		"scopes": null,
		"state": "active",
		"tenant": "default",
	},
	"resource": {"tenant": null},
	"arguments": {},
}

decide(asked) := decision if {
	decision := authz.decision with input as asked
		with data.roles as roles
		with data.permissions as permissions
		with data.revision as "r1"
}

test_a_role_gives_its_own_grants if decide(question("viewer", "render:read")).verdict == "allow"

test_a_role_gives_what_it_inherits if decide(question("editor", "render:read")).verdict == "allow"

test_a_star_stands_for_a_word if {
	decide(question("editor", "render:create")).verdict == "allow"
	decide(question("auditor", "key:read")).verdict == "allow"
	decide(question("auditor", "key:create")).verdict == "deny"
	decide(question("admin", "key:create")).verdict == "allow"
	decide(question("everything", "key:create")).verdict == "allow"
}

test_an_allowed_question_has_no_reasons_and_names_the_revision if {
	decide(question("viewer", "render:read")) == {
		"verdict": "allow",
		"reasons": [],
		"approvers": 0,
		"revision": "r1",
	}
}

test_what_no_role_gives_is_denied_with_the_reason if {
	decision := decide(question("viewer", "render:create"))
	decision.verdict == "deny"
	decision.reasons == ["the role does not give it"]
}

test_everybody_known_may_ask_who_they_are if {
	decide(question("lonely", "self:read")).verdict == "allow"
	decide(question("stranger", "self:read")).verdict == "deny"
}

test_a_permission_without_a_rule_is_denied_even_to_the_admin if {
	decision := decide(question("admin", "render:fly"))
	decision.verdict == "deny"
	decision.reasons == ["there is no rule for this permission"]
}

test_an_unknown_role_is_denied if decide(question("root", "render:read")).verdict == "deny"

test_an_unknown_kind_of_action_is_denied if {
	asked := object.union(question("admin", "render:read"), {"action": {"kind": "dream"}})
	decision := decide(asked)
	decision.verdict == "deny"
	decision.reasons == ["this question has no answer in the policy"]
}

test_an_empty_question_is_denied if decide({}).verdict == "deny"

test_a_question_of_nonsense_is_denied if {
	decide("x").verdict == "deny"
	decide([]).verdict == "deny"
	decide({"action": 1, "subject": [], "resource": null}).verdict == "deny"
}

test_a_list_of_permissions_follows_role_and_scopes if {
	all := authz.permissions with input as {"subject": {"role": "editor", "scopes": null}}
		with data.roles as roles
		with data.permissions as permissions
	all == {"render:read", "render:create", "self:read"}
	narrowed := authz.permissions with input as {"subject": {"role": "admin", "scopes": ["key:*"]}}
		with data.roles as roles
		with data.permissions as permissions
	narrowed == {"key:read", "key:create", "self:read"}
	none := authz.permissions with input as {"subject": {"role": "root", "scopes": null}}
	none == set()
}

# What the shipped data say, where it would hurt to be wrong.
test_shipped_viewers_change_nothing if {
	permitted := authz.permissions with input as {"subject": {"role": "viewer", "scopes": null}}
	effects := {data.permissions[permission].effect | some permission in permitted}
	effects == {"read"}
}

test_shipped_admin_may_everything if {
	permitted := authz.permissions with input as {"subject": {
		"role": "admin",
		"scopes": null,
		"tenant": "default",
	}}
	permitted == object.keys(data.permissions)
}

test_shipped_tools_name_known_permissions if {
	every rule in data.tools {
		data.permissions[rule.permission]
		rule.effect in {"read", "write", "destructive"}
	}
}

test_without_a_revision_the_answer_names_none if {
	decision := authz.decision with input as question("viewer", "render:read")
	decision.revision == ""
}
