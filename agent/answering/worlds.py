"""Collects what a caller's sentence may name: everything of each kind that this caller may list."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace

from agent.tools.cluster.jobs import job_files
from agent.tools.cluster.nomad import takes_work
from agent.tools.machines.api import Playbook, Run, all_machines, parse_answer
from agent.tools.services import ToolServices
from agent.understanding.world import DRAINING, Thing, World
from policy import Principal
from soundstage.errors import SoundstageError
from soundstage.paging import PageRequest
from studio.projects.repository import ProjectFilter
from studio.renders.listing import RenderFilter
from studio.renders.states import RenderState

MOST = 200
PROJECTS_WITH_SCENES = 40
STUDIO_S = 3.0
FARM_S = 20.0
"""How long things are cached: those of the studio, and those that other servers are asked for."""
FARM_LIMIT_S = 1.5
CACHED = 500
FARM_TOOLS = frozenset({"list_machines", "change_machine", "ansible", "show_runs", "cancel_run", "ssh",
                        "cluster_status", "job_logs", "change_job"})  # fmt: skip
"""Tools whose arguments name machines, jobs, playbooks and runs."""

_STATES = {
    RenderState.QUEUED: "queued",
    RenderState.DISPATCHED: "queued",
    RenderState.RUNNING: "rendering",
}
"""States of videos in the reader's words, where they differ."""

_Key = tuple[str, str, str, frozenset[str]]


@dataclass
class Worlds:
    """Caches things for some seconds: what everybody of a tenant with the same permissions sees, once for all
    of them. `forget` drops them after a change.
    """

    services: ToolServices
    common_words: Collection[str] = frozenset()
    _cached: OrderedDict[_Key, tuple[float, tuple[Thing, ...]]] = field(
        default_factory=OrderedDict, init=False
    )

    async def of(self, principal: Principal, *, farm: bool) -> World:
        """Returns what this caller may name; with `farm`, machines, jobs, playbooks and runs too."""
        things = await self._things("studio", principal, self._of_studio, STUDIO_S)
        things += await self._things("own", principal, self._own, STUDIO_S)
        if farm:
            things += await self._things("farm", principal, self._of_farm, FARM_S)
        return World(things, self.common_words)

    async def with_scripts(self, world: World, principal: Principal, project: str) -> World:
        """Returns a world in which the scenes of one project have what is spoken in them; not cached."""
        found = next((one for one in world.of_kind("project") if project in (one.id, one.name)), None)
        if found is None or not principal.may("scene:read"):
            return world
        scenes = [
            Thing("scene", one.title, parent=found.name, number=number, text=one.script)
            for number, one in enumerate(await self.services.studio.scenes.list(found.id), start=1)
        ]
        others = tuple(one for one in world.things if one.kind != "scene" or one.parent != found.name)
        return World((*others, *scenes), self.common_words)

    def forget(self, principal: Principal) -> None:
        """Drops what is cached of a caller who has changed something."""
        for part in ("studio", "own", "farm"):
            self._cached.pop(_key(part, principal), None)

    async def _things(
        self,
        part: str,
        principal: Principal,
        load: Callable[[Principal], Awaitable[tuple[Thing, ...]]],
        keep_s: float,
    ) -> tuple[Thing, ...]:
        key, now = _key(part, principal), asyncio.get_running_loop().time()
        until, things = self._cached.get(key, (0.0, ()))
        if until <= now:
            things = await load(principal)
            self._cached[key] = (now + keep_s, things)
            self._cached.move_to_end(key)
            while len(self._cached) > CACHED:
                self._cached.popitem(last=False)
        return things

    async def _of_studio(self, principal: Principal) -> tuple[Thing, ...]:
        studio, found = self.services.studio, list[Thing]()
        if principal.may("persona:read"):
            found += [Thing("persona", one.name, one.id, text=one.title) for one in studio.library.list()]
        if principal.may("render:read"):
            renders = await studio.renders.list(limit=MOST)
            found += [
                Thing(
                    "render",
                    one.title,
                    one.id,
                    _STATES.get(one.state, str(one.state)),
                    personas=tuple(one.personas),
                )
                for one in renders
            ]
            trashed = await studio.render_list.find_page(RenderFilter(trash=True), PageRequest(MOST))
            found += [Thing("trashed_render", one.title, one.id) for one in trashed.items]
        if principal.may("project:read"):
            found += await self._projects(principal)
        if principal.may("publication:read"):
            found += [
                Thing("channel", one.title or one.channel_id, one.id)
                for one in await studio.outgoing.accounts.all()
            ]
        return tuple(found)

    async def _own(self, principal: Principal) -> tuple[Thing, ...]:
        """Returns what is this caller's alone."""
        if not principal.may("snapshot:read"):
            return ()
        saved = await self.services.snapshots.list(principal)
        return tuple(Thing("snapshot", one.name, one.name) for one in saved[:MOST])

    async def _projects(self, principal: Principal) -> list[Thing]:
        studio = self.services.studio
        projects = await studio.projects.list(MOST)
        found = [Thing("project", one.title, one.id) for one in projects]
        trashed = await studio.projects.find_page(ProjectFilter(trash=True), PageRequest(MOST))
        found += [Thing("trashed_project", one.title, one.id) for one in trashed.items]
        if projects and principal.may("scene:read"):
            titles = await studio.scenes.titles([one.id for one in projects[:PROJECTS_WITH_SCENES]])
            found += [
                Thing("scene", title, parent=project.title, number=number)
                for project in projects[:PROJECTS_WITH_SCENES]
                for number, title in enumerate(titles.get(project.id, ()), start=1)
            ]
        return found

    async def _of_farm(self, principal: Principal) -> tuple[Thing, ...]:
        """Returns the things of other servers; of those that do not answer in time, none."""
        machines: list[Thing] = []
        jobs: list[Thing] = []
        drained: list[Thing] = []

        async def collect(parts: AsyncIterator[Thing], into: list[Thing]) -> None:
            try:
                async with asyncio.timeout(FARM_LIMIT_S):
                    async for thing in parts:
                        into.append(thing)
            except (SoundstageError, TimeoutError):
                # The tool that is called says what is wrong with its server.
                return

        await asyncio.gather(
            collect(self._machines(principal), machines),
            collect(self._jobs(principal), jobs),
            collect(self._drained(principal), drained),
        )
        names = {one.name for one in drained}
        machines = [replace(one, state=DRAINING) if one.name in names else one for one in machines]
        return (*machines, *jobs)

    async def _machines(self, principal: Principal) -> AsyncIterator[Thing]:
        async with self.services.machines(principal) as api:
            if principal.may("machine:read"):
                for machine in (await all_machines(api))[:MOST]:
                    yield Thing("machine", machine.name, machine.id, machine.state)
            if principal.may("run:read"):
                playbooks = parse_answer(list[Playbook], await api.get("/api/playbooks"))
                for playbook in playbooks[:MOST]:
                    yield Thing(
                        "playbook", playbook.path.rpartition("/")[2].rpartition(".")[0], playbook.path
                    )
                for run in parse_answer(list[Run], await api.get("/api/runs", limit=50)):
                    yield Thing("run", run.id, run.id, run.state)

    async def _drained(self, principal: Principal) -> AsyncIterator[Thing]:
        """Yields the nodes that take no work: that stands in Nomad, and not with the machine."""
        if not principal.may("cluster:read"):
            return
        async with self.services.cluster() as nomad:
            for node in (await nomad.nodes())[0]:
                if not takes_work(node):
                    yield Thing("machine", str(node["Name"]), state=DRAINING)

    async def _jobs(self, principal: Principal) -> AsyncIterator[Thing]:
        if principal.may("job:deploy"):
            for name in job_files():
                yield Thing("job", name, name)
        if principal.may("job:read"):
            async with self.services.cluster() as nomad:
                for job in (await nomad.all_jobs())[:MOST]:
                    name = str(job["ID"])
                    yield Thing("job", name, name, str(job.get("Status", "")))


def _key(part: str, principal: Principal) -> _Key:
    owner = "" if part == "studio" else principal.id
    return part, principal.tenant, owner, principal.permissions
