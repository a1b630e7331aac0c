"""Every permission there is; routes and tools declare one of these, roles and keys grant them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from soundstage.errors import Invalid


@dataclass(frozen=True, slots=True)
class Permission:
    """`resource:action`, and the sentence that says what it allows."""

    name: str
    allows: str


PERMISSIONS: tuple[Permission, ...] = (
    Permission("project:read", "See projects, their versions, and how words are spoken."),
    Permission("project:create", "Make a project."),
    Permission(
        "project:update",
        "Change a project, or take it out of the trash; say how words are spoken in all of them.",
    ),
    Permission("project:delete", "Move a project to the trash, or delete it with its scenes."),
    Permission("scene:read", "See the scenes of a project."),
    Permission("scene:create", "Add a scene."),
    Permission("scene:update", "Change or move a scene."),
    Permission("scene:delete", "Delete a scene."),
    Permission("asset:read", "See and download assets."),
    Permission("asset:create", "Upload an asset."),
    Permission("asset:update", "Rename or describe an asset."),
    Permission("asset:delete", "Delete an asset."),
    Permission("asset:transcribe", "Have the speech of a recording written down, and made captions of."),
    Permission("brand:read", "See brand kits."),
    Permission("brand:create", "Make a brand kit."),
    Permission("brand:update", "Change a brand kit, and with it new videos of all projects that use it."),
    Permission("brand:delete", "Delete a brand kit that no project uses."),
    Permission("persona:read", "See personas."),
    Permission("persona:create", "Make a persona, from a photo for example."),
    Permission("persona:update", "Change a persona."),
    Permission("persona:delete", "Delete a persona with the face and the voice behind it."),
    Permission("consent:read", "See who agreed to be shown or heard."),
    Permission("consent:create", "Record that a person agrees."),
    Permission("consent:revoke", "Record that a person no longer agrees."),
    Permission("voice:read", "See cloned voices."),
    Permission("voice:create", "Have a speech service clone a voice from a sample."),
    Permission("voice:delete", "Delete a cloned voice at its service, with its sample."),
    Permission("render:read", "See renders, and download what they made."),
    Permission("render:create", "Make a video."),
    Permission("render:update", "Rename a video, tag it, or take it out of the trash."),
    Permission("render:cancel", "Stop a render."),
    Permission("render:delete", "Move a video to the trash, or delete it with its files."),
    Permission(
        "link:read", "See the links to a video and how often they were opened, never their addresses."
    ),
    Permission("link:create", "Make a link that shows one video to whoever has it, without a login."),
    Permission("link:revoke", "End such a link."),
    Permission("publication:read", "See what is published, the channels and the quota."),
    Permission("publication:create", "Publish a finished video under the name of a connected channel."),
    Permission("publication:cancel", "Stop a publication that is still uploading."),
    Permission("publication:connect", "Connect a channel, or disconnect it."),
    Permission("webhook:read", "See webhooks and what was delivered to them, never their secrets."),
    Permission("webhook:create", "Make a webhook: this server then calls its URL."),
    Permission("webhook:update", "Change, test or repeat what a webhook is told, or renew its secret."),
    Permission("webhook:delete", "Delete a webhook with its log."),
    Permission("machine:read", "See machines, their hardware, their time line and the inventory."),
    Permission("machine:accept", "Accept a discovered machine: it may then be written to and enrolled."),
    Permission("machine:update", "Rename a machine, tag it, set its pool and how its power is switched."),
    Permission("machine:power", "Switch a machine on, off, or to another boot device."),
    Permission("machine:drain", "Move the work of a machine elsewhere, or let it work again."),
    Permission("machine:command", "Run an allowed command on a machine."),
    Permission("machine:retire", "Take a machine out of service: drain, revoke, wipe."),
    Permission("machine:call_home", "Report an installed machine by name and address."),
    Permission("cluster:read", "See the nodes, cards and jobs of the farm."),
    Permission("job:read", "Read the logs of jobs on the farm."),
    Permission("job:deploy", "Run a job file on the farm."),
    Permission("job:scale", "Change how many of a job run."),
    Permission("job:stop", "Stop a job of the farm."),
    Permission("enrolment:create", "Arm the enrolment of an accepted machine."),
    Permission("enrolment:revoke", "Disarm an enrolment that has not been used."),
    Permission("artefact:publish", "Sign what machines boot and are written with."),
    Permission("rule:read", "See the rules that act on discovered machines."),
    Permission("rule:update", "Make, change and remove such rules."),
    Permission("run:read", "See runs of Ansible, what they say and why they failed."),
    Permission("run:create", "Start a run, or repeat one."),
    Permission("run:cancel", "Stop a run."),
    Permission("approval:read", "See which tool calls wait for people, and what became of them."),
    Permission("approval:decide", "Agree to such a call, or refuse it; its own permission is needed too."),
    Permission("audit:read", "Read the audit record."),
    Permission("snapshot:read", "See one's own snapshots, and what has changed since them."),
    Permission("snapshot:create", "Save the state of a conversation under a name."),
    Permission("snapshot:load", "Let a conversation go on from a snapshot."),
    Permission("snapshot:delete", "Delete a snapshot of one's own."),
    Permission("trigger:read", "See what one has planned for a time or an event."),
    Permission("trigger:create", "Plan calls for a time or an event; each still needs its own permission."),
    Permission("trigger:cancel", "Cancel what one has planned."),
    Permission("memory:read", "Ask what one has told the agent to remember."),
    Permission("memory:create", "Let the agent remember something."),
    Permission("memory:delete", "Let the agent forget what one has told it."),
    Permission("code:run", "Run code in the sandbox of the server."),
    Permission("chat:use", "Talk to the agent; what it does still needs the permission of its tool."),
    Permission("mcp:use", "Use the tools over MCP; each still needs its own permission."),
    Permission("mcp:call", "Call tools of MCP servers that the operator has allowed."),
    Permission("event:read", "Follow what happens."),
    Permission("key:read", "See API keys, never the keys themselves."),
    Permission("key:create", "Make an API key with no more rights than one's own."),
    Permission("key:rotate", "Replace an API key by a new one."),
    Permission("key:revoke", "End an API key."),
    Permission("first_run:read", "See which steps to the first film are done."),
    Permission("first_run:update", "Mark steps to the first film as done or skipped."),
    Permission("policy:test", "Ask what the policy would decide for a key."),
    Permission("setting:read", "See the settings, without secrets."),
    Permission("metrics:read", "Read the metrics."),
    Permission("log:read", "Read the log lines of the servers."),
    Permission("trace:read", "See which steps a request took and how long each lasted."),
    Permission("system:read", "See the state of the installation."),
    Permission("storage:collect", "Remove files that nothing refers to."),
    Permission("backup:create", "Make a backup."),
    Permission("backup:restore", "Put a backup in the place of the present state."),
    Permission("person:represent", "Say in whose name a request is made, as the agent does at its servers."),
    Permission("self:read", "See as whom one is known; everybody may."),
)


def permission(name: str) -> Permission:
    """Returns the permission of that name; Invalid with a near name for one that does not exist."""
    for known in PERMISSIONS:
        if known.name == name:
            return known
    near = get_close_matches(name, [known.name for known in PERMISSIONS], n=1)
    raise Invalid(
        "policy.unknown_permission",
        f"There is no permission {name!r}.",
        f"Did you mean {near[0]!r}?" if near else "The permissions are listed in the API reference.",
    )


def covers(pattern: str, name: str) -> bool:
    """Returns whether a granted pattern (`render:create`, `render:*`, `*:read`, `*`) covers a permission."""
    if pattern == "*":
        return True
    resource, _, action = pattern.partition(":")
    required_resource, _, required_action = name.partition(":")
    return resource in ("*", required_resource) and action in ("*", required_action)


def expand(patterns: Iterable[str]) -> frozenset[str]:
    """Returns all permissions that the patterns cover together."""
    chosen = tuple(patterns)
    return frozenset(
        known.name for known in PERMISSIONS if any(covers(pattern, known.name) for pattern in chosen)
    )


def check_pattern(pattern: str) -> str:
    """Returns the pattern itself; Invalid when it covers no permission at all, which is always a slip."""
    if not expand([pattern]):
        permission(pattern)
    return pattern
