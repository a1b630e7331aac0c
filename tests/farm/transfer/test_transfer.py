"""What a worker's token opens, and what it does not; over real HTTP routes and a real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from avatar.spec.work import WorkEnd, WorkReport

from farm.failures import CANCELLED
from farm.tasks import SegmentTask, TaskInput
from farm.transfer import TransferService
from farm.transfer.orders import order_of
from soundstage.database import utcnow
from soundstage.errors import Invalid, NotFound

PICTURE = b"a picture of somebody"


@pytest.fixture
async def http(control: Any) -> Any:
    async with httpx.AsyncClient(base_url=f"{control.url}/api/farm/tasks/", timeout=60) as client:
        yield client


@pytest.fixture
def issue(control: Any, make_task: Any) -> Any:
    """A task and its token."""

    async def make(
        task_id: str, *, lifetime_s: float = 60, **more: Any
    ) -> tuple[SegmentTask, dict[str, str]]:
        task = await make_task(task_id, **more)
        order = await order_of(task, control.blobs, grace_s=1, upload_timeout_s=1)
        token = await control.transfer.issue(task, order, f"job-{task_id}", lifetime_s)
        return task, {"Authorization": f"Bearer {token}"}

    return make


async def test_a_worker_gets_its_order_and_inputs_and_brings_its_outputs(
    control: Any, http: Any, issue: Any
) -> None:
    picture = await control.blobs.put_bytes(PICTURE)
    task, token = await issue("a", inputs=(TaskInput(picture.sha256, "picture"),))
    order = (await http.get("a/order", headers=token)).json()
    assert {file["path"] for file in order["files"]} == {"spec.json", "picture"}
    assert "@blobs" in order["arguments"] and task.scene_id in order["arguments"]
    assert (await http.get(f"a/blobs/{picture.sha256}", headers=token)).content == PICTURE
    created = "sha256:" + "0" * 64
    wrong = await http.put(f"a/outputs/{created}", content=b"video", headers=token)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "transfer.hash_mismatch")


async def test_a_token_opens_its_own_task_and_its_own_inputs_only(
    control: Any, http: Any, issue: Any
) -> None:
    _, token = await issue("mine")
    await issue("yours")
    secret = await control.blobs.put_bytes(b"of another render")
    refused = await http.get(f"mine/blobs/{secret.sha256}", headers=token)
    assert (refused.status_code, refused.json()["code"]) == (403, "transfer.not_yours")
    for path in ("yours/order", "nobody/order"):
        answer = await http.get(path, headers=token)
        assert (answer.status_code, answer.json()["code"]) == (401, "transfer.bad_token")
    assert (await http.get("mine/order")).json()["code"] == "transfer.no_token"


async def test_a_token_ends_with_its_time_and_with_its_task(control: Any, http: Any, issue: Any) -> None:
    _, token = await issue("short")
    assert (await http.get("short/order", headers=token)).status_code == 200
    await control.transfer.limit("short", 0.0)
    late = await http.get("short/order", headers=token)
    assert (late.status_code, late.json()["code"]) == (403, "transfer.ended")
    _, token = await issue("done")
    await control.transfer.close("done")
    assert (await http.get("done/order", headers=token)).json()["code"] == "transfer.ended"


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_neither_ends_a_token_nor_keeps_it(
    control: Any, http: Any, issue: Any, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    _, running = await issue("running")
    _, ended = await issue("ended")
    await control.transfer.limit("running", 60.0)
    await control.transfer.limit("ended", 0.0)
    monkeypatch.setattr("farm.transfer.service.utcnow", lambda when=utcnow: when() + timedelta(hours=hours))
    assert (await http.get("running/order", headers=running)).status_code == 200
    assert (await http.get("ended/order", headers=ended)).status_code == 403


async def test_a_token_ends_as_the_last_process_says(control: Any, http: Any, issue: Any) -> None:
    _, token = await issue("a")
    await TransferService(control.database, control.blobs).limit("a", 0.0)
    assert (await http.get("a/order", headers=token)).json()["code"] == "transfer.ended"


async def test_a_token_that_is_issued_again_makes_the_first_one_void(issue: Any, http: Any) -> None:
    _, first = await issue("a")
    _, second = await issue("a")
    assert (await http.get("a/order", headers=first)).status_code == 401
    assert (await http.get("a/order", headers=second)).status_code == 200


async def test_the_database_holds_no_token(control: Any, issue: Any, tmp_path: Any) -> None:
    _, token = await issue("a")
    content = b"".join(path.read_bytes() for path in tmp_path.glob("farm.db*"))
    assert b"job-a" in content and token["Authorization"].split()[1].encode() not in content


async def test_a_repeated_report_is_heard_once(control: Any, http: Any, issue: Any) -> None:
    _, token = await issue("a")
    received: list[WorkReport] = []
    control.transfer.listen("a", received.append)
    body = WorkReport(run="r", seq=1, log="hello").model_dump(mode="json")
    for _ in range(3):
        assert (await http.post("a/reports", json=body, headers=token)).json() == {
            "stop": False,
            "forget": False,
        }
    assert [report.log for report in received] == ["hello"]


async def test_a_worker_whose_work_was_given_to_another_is_told_to_stop(
    control: Any, http: Any, issue: Any
) -> None:
    _, token = await issue("a")
    received: list[WorkReport] = []
    control.transfer.listen("a", received.append)
    replies = []
    for run, seq in (("first", 1), ("second", 1), ("first", 2), ("second", 2)):
        body = WorkReport(run=run, seq=seq).model_dump(mode="json")
        replies.append((await http.post("a/reports", json=body, headers=token)).json()["stop"])
    assert replies == [False, False, True, False]
    assert [report.run for report in received] == ["first", "second", "second"]


async def test_a_cancelled_worker_learns_it_from_the_reply(control: Any, http: Any, issue: Any) -> None:
    _, token = await issue("a")
    control.transfer.request_stop("a")
    body = WorkReport(run="r", seq=1).model_dump(mode="json")
    assert (await http.post("a/reports", json=body, headers=token)).json() == {"stop": True, "forget": False}
    control.transfer.request_stop("a", for_good=True)
    for _ in range(2):
        assert (await http.post("a/reports", json=body, headers=token)).json() == {
            "stop": True,
            "forget": True,
        }
        control.transfer.request_stop("a")  # said once for good, it stays so


async def test_an_order_carries_the_name_of_the_work_beside_the_variables(
    control: Any, http: Any, issue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.transfer._environment = {"TTS_KEY": "k"}
    _, token = await issue("a", unfinished="the-scene", variables=("TTS_KEY",))
    order = (await http.get("a/order", headers=token)).json()
    assert order["environment"] == {"AVATAR_UNFINISHED": "the-scene", "TTS_KEY": "k"}


async def test_an_end_with_files_that_never_came_is_refused(control: Any, http: Any, issue: Any) -> None:
    _, token = await issue("a")
    file = {
        "role": "segment", "path": "out/s.mp4", "sha256": "sha256:" + "1" * 64, "bytes": 1, "media_type": "x",
    }  # fmt: skip
    result = {"event": "result", "files": [file], "duration_ms": 1, "frames": 1}
    body = {"run": "r", "seq": 1, "end": {"result": result}}
    refused = await http.post("a/reports", json=body, headers=token)
    assert (refused.status_code, refused.json()["code"]) == (409, "transfer.outputs_missing")
    assert await control.transfer.end_of("a") is None


async def test_an_end_is_kept_and_that_of_a_stopped_worker_is_none(
    control: Any, http: Any, issue: Any
) -> None:
    _, token = await issue("a")
    stopped = WorkEnd(ended_by="cancel", failure=CANCELLED)
    body = WorkReport(run="r", seq=1, end=stopped).model_dump(mode="json")
    assert (await http.post("a/reports", json=body, headers=token)).status_code == 200
    assert await control.transfer.end_of("a") is None
    body = WorkReport(run="r", seq=2, end=WorkEnd(returncode=3)).model_dump(mode="json")
    assert (await http.post("a/reports", json=body, headers=token)).status_code == 200
    assert (await control.transfer.end_of("a")).returncode == 3
    (open_ticket,) = await control.transfer.open_tickets()
    assert open_ticket.task.id == "a" and open_ticket.end.returncode == 3


async def test_only_the_variables_that_the_task_names_reach_the_worker(
    control: Any, http: Any, issue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_KEY", "for the worker")
    monkeypatch.setenv("OTHER_KEY", "not for it")
    _, token = await issue("a", variables=("TTS_KEY",))
    assert (await http.get("a/order", headers=token)).json()["environment"] == {"TTS_KEY": "for the worker"}


async def test_an_order_names_the_files_of_its_own_scene_and_no_evidence(blobs: Any) -> None:
    import json

    names = (b"mine", b"nod", b"other", b"paper")
    mine, nod, other, paper = [await blobs.put_bytes(text) for text in names]
    face = {"image": {"sha256": mine.sha256}, "driving": {"sha256": nod.sha256}}
    scenes = [
        {"id": "one", "face": face, "consent": {"evidence": paper.sha256}},
        {"id": "two", "face": {"image": {"sha256": other.sha256}}},
    ]
    spec = await blobs.put_bytes(json.dumps({"scenes": scenes}).encode())
    task = SegmentTask("a", "segment", spec.sha256, "one")
    order = await order_of(task, blobs, grace_s=1, upload_timeout_s=1)
    assert {blob.sha256 for blob in order.blobs} == {mine.sha256, nod.sha256}


async def test_an_order_of_a_task_whose_files_are_gone_or_leave_the_folder_is_refused(blobs: Any) -> None:
    with pytest.raises(NotFound, match="sha256:1111"):
        await order_of(SegmentTask("a", "render", "sha256:" + "1" * 64), blobs, grace_s=1, upload_timeout_s=1)
    blob = await blobs.put_bytes(b"{}")
    task = SegmentTask("a", "render", blob.sha256, inputs=(TaskInput(blob.sha256, "../evil"),))
    with pytest.raises(Invalid, match="leaves the task's folder"):
        await order_of(task, blobs, grace_s=1, upload_timeout_s=1)
