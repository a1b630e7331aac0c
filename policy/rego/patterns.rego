# What a granted pattern covers; for roles and for the scopes of keys.
package soundstage.patterns

import rego.v1

# `render:create`, `render:*`, `*:read` or `*`; a star stands for a whole word.
covers(patterns, _) if "*" in patterns

covers(patterns, permission) if permission in patterns

covers(patterns, permission) if {
	[resource, action] := split(permission, ":")
	some pattern in [concat(":", [resource, "*"]), concat(":", ["*", action]), "*:*"]
	pattern in patterns
}
