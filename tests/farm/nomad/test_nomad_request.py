"""What a job asks for, without a Nomad."""

from __future__ import annotations

import re

import pytest

from farm.needs import Needs
from farm.nomad.request import (
    VOLUME_PLACE,
    JobOptions,
    PlacementHint,
    device_request,
    job_id,
    job_variables,
    nomad_priority,
)
from farm.tasks import SegmentTask

VARIABLE_PATH = re.compile(r"[A-Za-z0-9-_~/]{1,128}")


@pytest.mark.parametrize(
    "task_id", ["a", "rnd_01m7w8.assemble.1", f"{'ab' * 32}-0.1.0+0080a4e977b4.1795171386909.1.1", "ä/ö"]
)
def test_the_name_of_a_job_fits_into_the_path_of_a_variable(task_id: str) -> None:
    name = job_id("soundstage-with-quite-a-long-prefix"[:32], task_id)
    assert VARIABLE_PATH.fullmatch(f"nomad/jobs/{name}")


def test_other_attempts_have_other_names() -> None:
    key = f"{'ab' * 32}-0.1.0.1795171386909"
    assert len({job_id("s", f"{key}.{attempt}.{number}") for attempt in (1, 2) for number in (1, 2)}) == 4
    assert job_id("s", "a.b") != job_id("s", "a-b")


def test_without_a_gpu_none_is_asked_for() -> None:
    assert device_request(Needs(), PlacementHint()) == {"gpus": 0}


def test_whole_cards_are_counted_and_each_is_large_enough() -> None:
    request = device_request(Needs(gpus=2, vram_mib=16384), PlacementHint(card="GPU-1"))
    assert request == {"gpus": 2, "vram_mib": 16384, "device": "nvidia/gpu", "compute": 0}


def test_a_compute_capability_is_asked_for_where_cards_tell_theirs() -> None:
    turing = Needs(gpus=1, vram_mib=8192, compute=75)
    assert device_request(turing, PlacementHint())["compute"] == 0
    assert device_request(turing, PlacementHint(compute_reported=True))["compute"] == 75
    assert device_request(turing, PlacementHint(mode="shared", compute_reported=True))["compute"] == 75


@pytest.mark.parametrize(("vram_mib", "shares"), [(2048, 2), (2049, 3), (100, 1)])
def test_shares_are_rounded_up_and_asked_of_one_card(vram_mib: int, shares: int) -> None:
    request = device_request(Needs(gpus=1, vram_mib=vram_mib), PlacementHint(mode="shared", card="GPU-1"))
    assert (request["gpus"], request["card"], request["node_pool"]) == (shares, "GPU-1", "gpu-shared")


def test_the_job_says_where_to_call_and_not_with_what() -> None:
    task = SegmentTask("a", "segment", "sha256:0", "one", priority=7, trace_id="t")
    options = JobOptions(
        command="/opt/avatar", program=("other", "program"), other_control_urls=("http://d",)
    )
    created = job_variables(task, options, PlacementHint(), control_url="http://c", ticket="1234")
    expected = ["work", "--control", "http://c", "--control", "http://d", "--task", "a"]
    assert created["args"][:7] == expected
    assert created["args"][-3:] == ["--", "other", "program"]
    assert created["retries"] == 0 and created["priority"] == 57
    assert created["meta"] == {"task": "a", "ticket": "1234", "trace": "t"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (JobOptions(), "${NOMAD_ALLOC_DIR}/cache"),
        (JobOptions(cache_dir="/var/cache/soundstage"), "/var/cache/soundstage"),
        (JobOptions(cache_volume="inputs", worker_volume="soundstage"), VOLUME_PLACE),
    ],
)
def test_workers_keep_inputs_where_the_settings_say(options: JobOptions, expected: str) -> None:
    task = SegmentTask("a", "segment", "sha256:0", "one")
    created = job_variables(task, options, PlacementHint(), control_url="http://c", ticket="1234")
    assert created["args"][created["args"].index("--cache") + 1] == expected
    assert created["cache_volume"] == options.cache_volume
    assert created["worker_volume"] == options.worker_volume


def test_workers_are_told_where_weights_lie() -> None:
    task = SegmentTask("a", "segment", "sha256:0", "one")
    options = JobOptions(models_folder="/srv/weights")
    created = job_variables(task, options, PlacementHint(), control_url="http://c", ticket="1234")
    assert created["models_folder"] == "/srv/weights"


@pytest.mark.parametrize(("ours", "theirs"), [(0, 50), (9, 59), (-1, 49), (500, 100), (-500, 1)])
def test_priorities_stay_within_what_nomad_knows(ours: int, theirs: int) -> None:
    assert nomad_priority(ours) == theirs
