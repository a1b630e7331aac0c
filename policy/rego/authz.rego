# Who may do what. Asked for every route and every tool call; everything that is not allowed here is denied.
#
# input.action    {kind: "route" | "tool", name, permission, effect}
# input.subject   {id, kind, role, scopes: null | [pattern], state, tenant}
# input.resource  {tenant: null | name}
# input.arguments {…}, for tools
#
# Reasons are sentences of these rules and their data. Nothing of the question goes into them: it is in the log
# beside them, and text of other users must not be able to look like an answer.
package soundstage.authz

import rego.v1

import data.soundstage.api_keys
import data.soundstage.patterns
import data.soundstage.tenants
import data.soundstage.tools

decision := {
	"verdict": verdict,
	"reasons": sort(reasons),
	"approvers": approvers,
	"revision": revision,
}

default verdict := "deny"

verdict := "allow" if {
	permitted
	approvers == 0
}

verdict := "approve" if {
	permitted
	approvers > 0
}

# Each part has to say yes in words of its own: a part that cannot be decided is a no.
permitted if {
	given
	api_keys.usable
	api_keys.in_scope
	tenants.open
	action_known
}

action_known if input.action.kind == "route"

action_known if {
	input.action.kind == "tool"
	tools.known
	count(tools.denials) == 0
}

default approvers := 0

approvers := tools.approvers if input.action.kind == "tool"

reasons := tools.asks if verdict == "approve"

reasons := denials if {
	verdict == "deny"
	count(denials) > 0
}

# Whatever is wrong with the question itself: it is no ground to allow anything.
reasons := {"this question has no answer in the policy"} if {
	verdict == "deny"
	count(denials) == 0
}

default reasons := set()

denials contains reason if some reason in api_keys.denials

denials contains reason if some reason in tenants.denials

denials contains reason if {
	input.action.kind == "tool"
	some reason in tools.denials
}

denials contains reason if {
	not known
	reason := "there is no rule for this permission"
}

denials contains reason if {
	known
	not given
	reason := "the role does not give it"
}

# Names for what is negated above: engines differ in what "not" means for a path that is not there.
known if data.permissions[input.action.permission]

given if gives(input.action.permission)

# What the subject's role gives: its own grants and the inherited ones.
gives(permission) if {
	data.permissions[permission]
	some name in ranks
	patterns.covers(data.roles[name].grants, permission)
}

ranks := graph.reachable(parents, {input.subject.role})

# What every authenticated caller may do.
gives(permission) if {
	data.roles[input.subject.role]
	permission in data.always
}

parents[name] := above if {
	some name, role in data.roles
	above := [parent | parent := role.inherits]
}

# All that a subject may do, for lists and for "nobody gives away more than they have".
permissions contains permission if {
	some permission, _ in data.permissions
	gives(permission)
	api_keys.scope_covers(permission)
	tenants.in_reach(permission)
}

default revision := ""

revision := data.revision
