package soundstage.api_keys_test

import rego.v1

import data.soundstage.authz_test

with_key(key) := authz_test.decide(object.union(
	authz_test.question("editor", "render:create"),
	{"subject": key},
))

test_a_superseded_key_still_works if with_key({"state": "superseded"}).verdict == "allow"

test_an_ended_key_does_not_work if {
	some state in ["revoked", "expired", "", null]
	decision := with_key({"state": state})
	decision.verdict == "deny"
	decision.reasons == ["this key does not work any more"]
}

test_scopes_narrow_a_role if {
	with_key({"scopes": ["render:create"]}).verdict == "allow"
	with_key({"scopes": ["render:*"]}).verdict == "allow"
	decision := with_key({"scopes": ["render:read"]})
	decision.verdict == "deny"
	decision.reasons == ["the scopes of this key do not give it"]
}

test_scopes_never_widen_a_role if {
	decision := with_key({"role": "viewer", "scopes": ["*"]})
	decision.verdict == "deny"
	decision.reasons == ["the role does not give it"]
}

test_no_scopes_are_no_rights_but_the_one_that_everybody_has if {
	with_key({"scopes": []}).verdict == "deny"
	own := object.union(
		authz_test.question("editor", "self:read"),
		{"subject": {"scopes": []}},
	)
	authz_test.decide(own).verdict == "allow"
}

test_scopes_that_are_no_list_give_nothing if {
	with_key({"scopes": "render:create"}).verdict == "deny"
	with_key({"scopes": {"render:create": true}}).verdict == "deny"
}
