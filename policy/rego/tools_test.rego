package soundstage.tools_test

import rego.v1

import data.soundstage.authz_test

rules := {
	"make": {
		"permission": "render:create", "effect": "write",
		"at_most": {"script": 10, "limit": 5, "scenes": 2, "labels": 1},
		"ask": [
			{"argument": "script", "above": 6, "approvers": 1, "because": "it is long"},
			{"argument": "quality", "one_of": ["2160p"], "approvers": 2, "because": "it is large"},
		],
	},
	"wipe": {"permission": "render:create", "effect": "destructive"},
	"wipe_all": {
		"permission": "render:create", "effect": "destructive", "approvers": 2,
		"because": "it cannot be undone",
	},
	"stop": {"permission": "render:create", "effect": "destructive", "approvers": 0},
	"other__send": {"permission": "render:create", "effect": "write", "approvers": 1, "at_most": {"text": 10}},
	"read_file": {"permission": "render:read", "effect": "read", "files": ["photo"]},
}

called(tool, arguments) := called_by("key", tool, arguments)

called_by(kind, tool, arguments) := decide(question(kind, "editor", tool, arguments))

decide(asked) := decision if {
	decision := authz_test.decide(asked) with data.tools as rules
}

question(kind, role, tool, arguments) := {
	"action": {
		"kind": "tool", "name": tool,
		"permission": object.get(rules, [tool, "permission"], "render:create"),
		"effect": object.get(rules, [tool, "effect"], "write"),
	},
	"subject": {
		"id": "key_1", "kind": kind, "role": role, "scopes": null, "state": "active",
		"tenant": "default",
	},
	"resource": {"tenant": null},
	"arguments": arguments,
}

test_a_tool_with_a_rule_may_be_called if called("make", {"script": "short"}).verdict == "allow"

test_a_tool_without_a_rule_is_denied if {
	decision := called("fly", {})
	decision.verdict == "deny"
	decision.reasons == ["there is no rule for this tool"]
}

test_a_tool_of_an_mcp_server_has_the_permission_and_effect_of_the_settings if {
	called("other__look_up", {}).verdict == "allow"
	decide(object.union(
		question("key", "editor", "other__look_up", {}),
		{"action": {"permission": "render:delete"}},
	)).verdict == "deny"
}

test_a_destructive_tool_of_an_mcp_server_waits_for_one_person if {
	decision := decide(object.union(
		question("key", "editor", "other__wipe", {}),
		{"action": {"effect": "destructive"}},
	))
	decision.verdict == "approve"
	decision.approvers == 1
}

test_a_rule_for_a_tool_of_an_mcp_server_takes_the_place_of_the_settings if {
	called("other__send", {"text": "hello"}).verdict == "approve"
	called("other__send", {"text": "a text that is too long"}).verdict == "deny"
}

test_a_rule_about_another_effect_does_not_count if {
	decision := decide(object.union(
		question("key", "editor", "make", {}),
		{"action": {"effect": "read"}},
	))
	decision.verdict == "deny"
	decision.reasons == ["the rule for this tool is about another permission or effect"]
}

test_too_much_is_denied if {
	called("make", {"script": "0123456789a"}).verdict == "deny"
	called("make", {"limit": 6}).verdict == "deny"
	called("make", {"scenes": [1, 2, 3]}).verdict == "deny"
	called("make", {"labels": {"a": 1, "b": 2}}).verdict == "deny"
	called("make", {"limit": 5, "scenes": [1], "labels": {}}).verdict == "allow"
}

test_a_long_one_waits_for_a_person_and_says_why if {
	decision := called("make", {"script": "0123456"})
	decision.verdict == "approve"
	decision.approvers == 1
	decision.reasons == ["it is long"]
}

test_the_strictest_condition_counts_and_all_are_said if {
	decision := called("make", {"script": "0123456", "quality": "2160p"})
	decision.approvers == 2
	decision.reasons == ["it is large", "it is long"]
}

test_destructive_calls_wait_for_one_person if {
	decision := called("wipe", {})
	decision.verdict == "approve"
	decision.approvers == 1
	decision.reasons == ["it is destructive"]
}

test_a_rule_says_how_many_and_why if {
	decision := called("wipe_all", {})
	decision.approvers == 2
	decision.reasons == ["it cannot be undone"]
	called("stop", {}).verdict == "allow"
}

test_paths_are_for_the_user_of_the_server if {
	called("read_file", {"photo": "ast_1"}).verdict == "allow"
	called("read_file", {"photo": "sha256:ab"}).verdict == "allow"
	called_by("local", "read_file", {"photo": "/etc/passwd"}).verdict == "allow"
	decision := called("read_file", {"photo": "/etc/passwd"})
	decision.verdict == "deny"
	decision.reasons == ["photo is a path on the server, which only its own user may name: upload the file and name its id"]
}

test_without_the_permission_nobody_is_asked if {
	decide(question("key", "viewer", "wipe", {})).verdict == "deny"
}
