# What an API key, or a session or this machine in its place, adds to its role: a life and scopes.
package soundstage.api_keys

import rego.v1

import data.soundstage.patterns

# `superseded` keys work on until they expire; the asker has already looked at the clock.
usable if input.subject.state in {"active", "superseded"}

in_scope if scope_covers(input.action.permission)

scope_covers(_) if input.subject.scopes == null

scope_covers(permission) if patterns.covers(input.subject.scopes, permission)

scope_covers(permission) if permission in data.always

denials contains reason if {
	not usable
	reason := "this key does not work any more"
}

denials contains reason if {
	not in_scope
	reason := "the scopes of this key do not give it"
}
