"""Machines and runs for the page: read and acted upon through the provisioning API, which is another process.

The studio's policy decides who may; the provisioning API is asked with the studio's key, for the person.
"""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, status
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from agent.tools.machines.actions import ChangeMachine, plan_act
from agent.tools.machines.tools import change_machine
from agent.tools.plan import Change, Plan
from agent.tools.record import ToolContext
from agent.tools.services import ToolServices
from app.machines_api import machines_api
from policy import Principal, require_permission
from provisioning_api.decommission.schemas import RetirePlan, RetireRequest
from provisioning_api.machines.schemas import Acceptance, KeyChoice, MachineDetail, MachineView
from provisioning_api.machines.states import MachineState
from provisioning_api.power.schemas import PowerDone, PowerRequest, PowerState
from provisioning_api.runs.playbooks import PlaybookView
from provisioning_api.runs.schemas import FailureView, RunRequest, RunView
from provisioning_api.runs.states import RunState
from provisioning_api.runs.tasks import TaskView
from provisioning_api.timeline.service import Timeline
from soundstage.errors import Conflict
from soundstage.events import last_event_id
from soundstage.events.sse import STREAM_HEADERS
from soundstage.paging import PAGED, Page, PageRequest, PagingDep
from soundstage.routers import AppService
from soundstage.settings import Settings

ReadMachines = Annotated[Principal, Depends(require_permission("machine:read"))]
AcceptMachines = Annotated[Principal, Depends(require_permission("machine:accept"))]
DrainMachines = Annotated[Principal, Depends(require_permission("machine:drain"))]
SwitchMachines = Annotated[Principal, Depends(require_permission("machine:power"))]
RetireMachines = Annotated[Principal, Depends(require_permission("machine:retire"))]
ReadRuns = Annotated[Principal, Depends(require_permission("run:read"))]
CreateRuns = Annotated[Principal, Depends(require_permission("run:create"))]
CancelRuns = Annotated[Principal, Depends(require_permission("run:cancel"))]

# They become part of a path: nothing in them may lead to another route.
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$", description="name or id")]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")]

PlannedAction = Literal["accept", "reinstall", "drain", "undrain", "switch_on", "switch_off", "retire"]
Model = TypeVar("Model", bound=BaseModel)


class MachinePlan(BaseModel):
    """Changes that an act would make, as sentences; `seconds` is an estimate, None when unknown."""

    action: PlannedAction
    changes: list[Change]
    seconds: float | None
    sha256: str


class PlannedAct(BaseModel):
    """`plan`: the `sha256` of the plan that was shown; None does whatever the plan is now."""

    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class ActDone(BaseModel):
    machine: str
    sentence: str


class FarmCalls:
    """Asks the provisioning API for a person."""

    def __init__(self, settings: Settings, services: ToolServices) -> None:
        self.settings = settings
        self._services = services

    async def one(self, model: type[Model], path: str, **params: Any) -> Model:
        async with machines_api(self.settings) as api:
            return model.model_validate(await api.get(path, **params))

    async def several(self, model: type[Model], path: str, **params: Any) -> list[Model]:
        async with machines_api(self.settings) as api:
            return [model.model_validate(one) for one in await api.get(path, **params)]

    async def page(self, model: type[Model], path: str, request: PageRequest, **params: Any) -> Page[Model]:
        """One page of a list over there; its cursor is passed on as it is."""
        async with machines_api(self.settings) as api:
            page = await api.page(path, limit=request.limit, cursor=request.cursor, **params)
            return page.of([model.model_validate(one) for one in page.items])

    async def post(
        self, model: type[Model], path: str, person: Principal, body: BaseModel | None = None
    ) -> Model:
        """Returns the fields that the body has; what it leaves out stays left out."""
        async with machines_api(self.settings, person) as api:
            sent = None if body is None else body.model_dump(mode="json", exclude_unset=True)
            return model.model_validate(await api.post(path, sent))

    async def plan(self, person: Principal, action: PlannedAction, name: str) -> MachinePlan:
        """Raises what the act would."""
        person.require(change_machine.acts[action].permission)
        plan: Plan = await plan_act(self._context(person), ChangeMachine(action=action, machine=name))
        return MachinePlan(
            action=action, changes=list(plan.changes), seconds=plan.seconds, sha256=plan.sha256
        )

    async def act(self, person: Principal, action: PlannedAction, name: str, agreed: PlannedAct) -> ActDone:
        """Raises Conflict (`machine.plan_changed`) when the plan is not the one that was shown any more."""
        if agreed.plan is not None and agreed.plan != (await self.plan(person, action, name)).sha256:
            raise Conflict(
                "machine.plan_changed",
                f"What would be done with {name} has changed since it was shown.",
                "Read the plan again, and then agree to that.",
            )
        done = await change_machine.run(self._context(person), ChangeMachine(action=action, machine=name))
        return ActDone(machine=done.name, sentence=done.done)

    def _context(self, person: Principal) -> ToolContext:
        return ToolContext(principal=person, session_id="", services=self._services)


class RelayedEvents(Response):
    """Server-sent events of the provisioning API, passed on as they come; 204 where all is told."""

    def __init__(self, settings: Settings, path: str, seen: int | None) -> None:
        super().__init__()
        self._settings = settings
        self._path = path
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with (
            machines_api(self._settings) as api,
            api.stream(self._path, self._seen) as upstream,
        ):
            if upstream.status_code == status.HTTP_204_NO_CONTENT:
                await Response(status_code=status.HTTP_204_NO_CONTENT)(scope, receive, send)
                return
            await StreamingResponse(
                upstream.aiter_raw(),
                media_type="text/event-stream",
                headers=STREAM_HEADERS,
            )(scope, receive, send)


FarmDep = Annotated[FarmCalls, Depends(AppService("farm"))]
router = APIRouter(prefix="/api/farm", tags=["farm"])


@router.get("/machines")
async def list_machines(
    farm: FarmDep,
    _: ReadMachines,
    state: Annotated[list[MachineState] | None, Query(max_length=20)] = None,
    pool: Annotated[str | None, Query(max_length=40)] = None,
) -> list[MachineView]:
    """All machines, by name."""
    return await farm.several(MachineView, "/api/machines", state=state, pool=pool)


@router.get("/events", response_class=EventSourceResponse)
async def follow_machines(request: Request, farm: FarmDep, _: ReadMachines) -> Response:
    """Server-sent events of all machines, from now on or after Last-Event-ID."""
    return RelayedEvents(farm.settings, "/api/events", last_event_id(request))


@router.get("/machines/{name}")
async def get_machine(name: Name, farm: FarmDep, _: ReadMachines) -> MachineDetail:
    """With its hardware and what comes next."""
    return await farm.one(MachineDetail, f"/api/machines/{name}")


@router.get("/machines/{name}/timeline")
async def read_timeline(name: Name, farm: FarmDep, _: ReadMachines) -> Timeline:
    """Returns the timeline from power-on to ready, with the critical path."""
    return await farm.one(Timeline, f"/api/machines/{name}/timeline")


@router.get("/machines/{name}/plan")
async def plan_machine_act(
    name: Name, action: PlannedAction, farm: FarmDep, person: ReadMachines
) -> MachinePlan:
    """Returns what an act would change; needs the permission of the act, and changes nothing."""
    return await farm.plan(person, action, name)


@router.post("/machines/{name}/accept")
async def accept_machine(
    name: Name, acceptance: Acceptance, farm: FarmDep, person: AcceptMachines
) -> MachineDetail:
    """A yes: it may be written to once, and be enrolled within fifteen minutes."""
    return await farm.post(MachineDetail, f"/api/machines/{name}/accept", person, acceptance)


@router.post("/machines/{name}/key")
async def choose_machine_key(
    name: Name, choice: KeyChoice, farm: FarmDep, person: AcceptMachines
) -> MachineDetail:
    """Ends a conflict: of the keys that report as this machine, the one with this code counts now."""
    return await farm.post(MachineDetail, f"/api/machines/{name}/key", person, choice)


@router.post("/machines/{name}/reject")
async def reject_machine(name: Name, farm: FarmDep, person: AcceptMachines) -> MachineDetail:
    """A no, or a yes taken back."""
    return await farm.post(MachineDetail, f"/api/machines/{name}/reject", person)


@router.post("/machines/{name}/reinstall")
async def reinstall_machine(name: Name, agreed: PlannedAct, farm: FarmDep, person: AcceptMachines) -> ActDone:
    """It is written anew at its next start from the network, which is now where its power can be
    switched.
    """
    return await farm.act(person, "reinstall", name, agreed)


@router.post("/machines/{name}/drain")
async def drain_machine(name: Name, agreed: PlannedAct, farm: FarmDep, person: DrainMachines) -> ActDone:
    """It takes no new work; what runs there moves to other machines within an hour."""
    return await farm.act(person, "drain", name, agreed)


@router.post("/machines/{name}/undrain")
async def undrain_machine(name: Name, agreed: PlannedAct, farm: FarmDep, person: DrainMachines) -> ActDone:
    """It takes work again."""
    return await farm.act(person, "undrain", name, agreed)


@router.get("/machines/{name}/power")
async def read_power(name: Name, farm: FarmDep, _: ReadMachines) -> PowerState:
    """Asks its BMC."""
    return await farm.one(PowerState, f"/api/machines/{name}/power")


@router.post("/machines/{name}/power")
async def switch_power(name: Name, body: PowerRequest, farm: FarmDep, person: SwitchMachines) -> PowerDone:
    return await farm.post(PowerDone, f"/api/machines/{name}/power", person, body)


@router.post("/machines/{name}/netboot")
async def boot_from_network(name: Name, farm: FarmDep, person: SwitchMachines) -> PowerDone:
    """Its next start is from the network, and that is now. Its state decides what it boots there."""
    return await farm.post(PowerDone, f"/api/machines/{name}/netboot", person)


@router.get("/machines/{name}/retire")
async def read_retire_plan(
    name: Name, farm: FarmDep, _: RetireMachines, wipe: bool = True, drain: bool = True
) -> RetirePlan:
    """Plans a retirement and returns the digest of that plan; changes nothing."""
    return await farm.one(RetirePlan, f"/api/machines/{name}/retire", wipe=wipe, drain=drain)


@router.post("/machines/{name}/retire")
async def retire_machine(
    name: Name, body: RetireRequest, farm: FarmDep, person: RetireMachines
) -> MachineDetail:
    """Drains it, revokes all that it holds, and wipes it at its next network boot."""
    return await farm.post(MachineDetail, f"/api/machines/{name}/retire", person, body)


@router.get("/runs", responses=PAGED)
async def list_runs(
    farm: FarmDep,
    _: ReadRuns,
    paging: PagingDep,
    state: Annotated[list[RunState] | None, Query(max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RunView]:
    """Runs of Ansible, the newest first. `Link` leads to the next page."""
    page = await farm.page(RunView, "/api/runs", paging.ask(limit), state=state)
    return paging.answer(page)


@router.post("/runs", status_code=status.HTTP_202_ACCEPTED)
async def create_run(body: RunRequest, farm: FarmDep, person: CreateRuns) -> RunView:
    """Queues a run and answers at once; follow its events."""
    return await farm.post(RunView, "/api/runs", person, body)


@router.get("/runs/events", response_class=EventSourceResponse)
async def follow_runs(request: Request, farm: FarmDep, _: ReadRuns) -> Response:
    """Server-sent events of all runs, from now on or after Last-Event-ID."""
    return RelayedEvents(farm.settings, "/api/runs/events", last_event_id(request))


@router.get("/runs/{run_id}")
async def get_run(run_id: RunId, farm: FarmDep, _: ReadRuns) -> RunView:
    return await farm.one(RunView, f"/api/runs/{run_id}")


@router.get("/runs/{run_id}/tasks")
async def list_tasks(run_id: RunId, farm: FarmDep, _: ReadRuns) -> list[TaskView]:
    """Lists the tasks of a run so far, oldest first."""
    return await farm.several(TaskView, f"/api/runs/{run_id}/tasks")


@router.get("/runs/{run_id}/events", response_class=EventSourceResponse)
async def follow_run(run_id: RunId, request: Request, farm: FarmDep, _: ReadRuns) -> Response:
    """Server-sent events from the first (or after Last-Event-ID) until the run has ended."""
    return RelayedEvents(farm.settings, f"/api/runs/{run_id}/events", last_event_id(request))


@router.post("/runs/{run_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_run(run_id: RunId, farm: FarmDep, person: CancelRuns) -> RunView:
    """Ends its processes, all of them."""
    return await farm.post(RunView, f"/api/runs/{run_id}/cancel", person)


@router.post("/runs/{run_id}/retry", status_code=status.HTTP_202_ACCEPTED)
async def retry_run(run_id: RunId, farm: FarmDep, person: CreateRuns) -> RunView:
    """A new run on the machines that did not come through."""
    return await farm.post(RunView, f"/api/runs/{run_id}/retry", person)


@router.get("/playbooks")
async def list_playbooks(farm: FarmDep, _: ReadRuns) -> list[PlaybookView]:
    """Lists the playbooks that a run may name, with the roles that can run alone."""
    return await farm.several(PlaybookView, "/api/playbooks")


@router.get("/failures")
async def list_failures(
    farm: FarmDep, _: ReadRuns, solved: bool | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[FailureView]:
    """Lists failures with machine, cause and hint; newest first."""
    return await farm.several(FailureView, "/api/failures", solved=solved, limit=limit)
