# Tenants: callers neither see nor change objects of another tenant, or of the system.
package soundstage.tenants

import rego.v1

import data.soundstage.patterns

open if {
	same
	writable
	near
}

same if input.resource.tenant == null

same if input.resource.tenant == input.subject.tenant

# An unknown tenant has the state that `data.tenants` gives to all the others.
default state := "suspended"

state := data.tenants[input.subject.tenant].state

state := data.other_tenants.state if {
	is_string(input.subject.tenant)
	not listed
}

listed if data.tenants[input.subject.tenant]

writable if state == "active"

writable if {
	state == "read_only"
	data.permissions[input.action.permission].effect == "read"
}

# What there is only once (machines, the farm, storage, settings) is run by the tenant of the house.
in_reach(_) if runs_the_house

in_reach(permission) if not of_the_house(permission)

of_the_house(permission) if patterns.covers(data.house.permissions, permission)

# Names for what is negated, as in authz.rego.
runs_the_house if input.subject.tenant == data.house.tenant

asks_the_house if of_the_house(input.action.permission)

near if runs_the_house

near if not asks_the_house

denials contains reason if {
	asks_the_house
	not runs_the_house
	reason := "it belongs to the house"
}

denials contains reason if {
	not same
	reason := "it belongs to another tenant"
}

denials contains reason if {
	not writable
	reason := concat(" ", ["the tenant is", replace(state, "_", " ")])
}
