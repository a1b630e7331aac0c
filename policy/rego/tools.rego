# What the agent's tools may be asked, and which calls wait for people. A tool without a rule is denied.
package soundstage.tools

import rego.v1

rule := data.tools[input.action.name]

# Tools of MCP servers are called SERVER__TOOL, and no tool of ours has such a name. Their permission and effect are
# those of the settings; a rule of that name in data.tools takes their place.
rule := {"permission": input.action.permission, "effect": input.action.effect} if {
	contains(input.action.name, "__")
	not listed
}

listed if data.tools[input.action.name]

# The rule was written for a tool with this permission and this effect: another one needs a new look.
known if {
	rule.permission == input.action.permission
	rule.effect == input.action.effect
}

denials contains reason if {
	not rule
	reason := "there is no rule for this tool"
}

denials contains reason if {
	rule
	not known
	reason := "the rule for this tool is about another permission or effect"
}

# Only local callers may name files of the server.
denials contains reason if {
	some argument in rule.files
	value := input.arguments[argument]
	is_string(value)
	not stored(value)
	input.subject.kind != "local"
	reason := concat(" ", [argument, "is a path on the server, which only its own user may name: upload the file and name its id"])
}

denials contains reason if {
	some argument, limit in rule.at_most
	size(input.arguments[argument]) > limit
	reason := concat(" ", [argument, "is more than the policy allows"])
}

stored(value) if startswith(value, "ast_")

stored(value) if startswith(value, "sha256:")

# Destructive calls wait for one person, unless the rule says how many.
approvers := max(wanted | {0})

wanted contains rule.approvers

wanted contains 1 if {
	rule.effect == "destructive"
	object.get(rule, "approvers", null) == null
}

wanted contains condition.approvers if some condition in met

met contains condition if {
	some condition in rule.ask
	size(input.arguments[condition.argument]) > condition.above
}

met contains condition if {
	some condition in rule.ask
	input.arguments[condition.argument] in condition.one_of
}

asks contains condition.because if some condition in met

asks contains rule.because if {
	approvers > 0
	count(met) == 0
}

asks contains reason if {
	approvers > 0
	count(met) == 0
	not rule.because
	reason := concat(" ", ["it is", rule.effect])
}

# A number, or how many characters or things there are.
size(value) := value if is_number(value)

size(value) := count(value) if is_string(value)

size(value) := count(value) if is_array(value)

size(value) := count(value) if is_object(value)
