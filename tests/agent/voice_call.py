"""A call: the TwinService in pipecat's own pipeline and runner, and a listener at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipecat.frames.frames import EndFrame, Frame, LLMTextFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from scripted_model import ScriptedModel

from agent.brain import Brain
from agent.events import Emit
from agent.voice.twin import TwinService
from app.composition import Services
from policy import Principal
from soundstage.database.tenants import tenant_scope
from soundstage.telemetry import trace

ME = Principal.local_admin("voice")
WAIT_S = 60


class BrainAnswers:
    """Answers by a Brain in this process, as a voice worker does by a server."""

    def __init__(self, brain: Brain, principal: Principal) -> None:
        self._brain = brain
        self._principal = principal
        self.session_id: str | None = None

    async def answer(self, utterance: str, present: Emit) -> None:
        with trace(inherit=False), tenant_scope(self._principal.tenant):
            conversation = await self._brain.sessions.open(self._principal, self.session_id)
            self.session_id = conversation.id
            await self._brain.answer(conversation, utterance, present)


class Listener(FrameProcessor):
    """The end of the pipeline: keeps what comes, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Frame] = []
        self._more = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        async with self._more:
            self.heard.append(frame)
            self._more.notify_all()
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        async with asyncio.timeout(WAIT_S), self._more:
            await self._more.wait_for(lambda: sum(isinstance(one, kind) for one in self.heard) >= count)

    @property
    def words(self) -> str:
        return "".join(one.text for one in self.heard if isinstance(one, LLMTextFrame))


class OnCall:
    """A running pipeline."""

    def __init__(self, services: Services, model: ScriptedModel) -> None:
        self.services = services
        self.model = model
        self.twin = TwinService(BrainAnswers(services.brain, ME))
        self.listener = Listener()
        self.worker = PipelineWorker(Pipeline([self.twin, self.listener]), cancel_on_idle_timeout=False)

    async def say(self, *frames: Frame) -> None:
        await self.worker.queue_frames(frames)


@asynccontextmanager
async def calling(services: Services, model: ScriptedModel) -> AsyncIterator[OnCall]:
    """A call that is taken, and hung up at the end."""
    call = OnCall(services, model)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    running = asyncio.create_task(runner.run())
    try:
        yield call
        await call.worker.queue_frame(EndFrame())
        await asyncio.wait_for(running, WAIT_S)
    finally:
        await call.worker.cancel()
        await asyncio.wait([running])


def spoken(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "somebody", "2026-01-01T00:00:00Z", finalized=True)
