# Whose things these are: nobody sees or changes what belongs to another tenant.
package soundstage.tenants

import rego.v1

open if {
	same
	writable
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

denials contains reason if {
	not same
	reason := "it belongs to another tenant"
}

denials contains reason if {
	not writable
	reason := concat(" ", ["the tenant is", replace(state, "_", " ")])
}
