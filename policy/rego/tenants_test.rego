package soundstage.tenants_test

import rego.v1

import data.soundstage.authz
import data.soundstage.authz_test

states := {
	"acme": {"state": "active"},
	"archive": {"state": "read_only"},
	"late": {"state": "suspended"},
}

asked(permission, tenant, owner) := decision if {
	question := object.union(
		authz_test.question("editor", permission),
		{"subject": {"tenant": tenant}, "resource": {"tenant": owner}},
	)
	decision := authz_test.decide(question) with data.tenants as states
		with data.other_tenants as {"state": "active"}
}

test_own_things_and_things_of_nobody_are_open if {
	asked("render:create", "acme", "acme").verdict == "allow"
	asked("render:create", "acme", null).verdict == "allow"
}

test_things_of_another_tenant_are_closed if {
	decision := asked("render:read", "acme", "rival")
	decision.verdict == "deny"
	decision.reasons == ["it belongs to another tenant"]
}

test_a_suspended_tenant_does_nothing if {
	decision := asked("render:read", "late", "late")
	decision.verdict == "deny"
	decision.reasons == ["the tenant is suspended"]
}

test_a_read_only_tenant_reads if {
	asked("render:read", "archive", "archive").verdict == "allow"
	decision := asked("render:create", "archive", null)
	decision.verdict == "deny"
	decision.reasons == ["the tenant is read only"]
}

test_a_tenant_without_a_line_has_the_state_of_the_others if {
	asked("render:create", "new", "new").verdict == "allow"
}

test_a_tenant_that_is_no_name_is_closed if {
	asked("render:read", null, null).verdict == "deny"
	asked("render:read", 7, 7).verdict == "deny"
}

test_what_is_there_only_once_is_closed_to_other_tenants if {
	decision := of_the_house("acme")
	decision.verdict == "deny"
	decision.reasons == ["it belongs to the house"]
	of_the_house("default").verdict == "allow"
}

of_the_house(tenant) := decision if {
	question := object.union(authz_test.question("auditor", "key:read"), {"subject": {"tenant": tenant}})
	decision := authz_test.decide(question) with data.house as {
		"tenant": "default",
		"permissions": ["key:*"],
	}
}

test_a_role_gives_another_tenant_less if {
	may("default")["machine:read"]
	not may("acme")["machine:read"]
	may("acme")["render:create"]
}

may(tenant) := permissions if {
	permissions := authz.permissions with input as {"subject": {
		"role": "editor",
		"scopes": null,
		"tenant": tenant,
	}}
}
