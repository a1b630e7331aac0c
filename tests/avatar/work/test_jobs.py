"""A job of the older GPU worker, `{"input": {"job_type", …}}`: fetched in bounds, rendered, or refused."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from avatar.cli.main import main
from avatar.cli.presenters import load_presenter
from avatar.cli.verbs import _presenter
from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import LipsyncSpec, MediaRef, RenderSpec, Scene, VideoFace
from avatar.spec.job import JOB_TYPES, JobRefused, Presenter, face_of, read_job, spec_of_job
from avatar.speech import speak
from avatar.work import outgoing
from avatar.work.outgoing import FetchBounds, fetch_file, read_networks

CONSENT = {"person": "Nobody", "purpose": "tests", "granted_at": "2026-11-02"}
LOOPBACK = read_networks(["127.0.0.0/8"])
PICTURES = Path(__file__).parents[1] / "photo" / "fixtures"
REF = MediaRef(sha256="sha256:" + "0" * 64)

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answers: dict[str, bytes | Answer]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A web server on loopback: its URL, and the headers of each request."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            answer = answers.get(self.path.partition("?")[0])
            if callable(answer):
                answer(self)
                return
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def lipsync(**more: Any) -> dict[str, Any]:
    return {"job_type": "lipsync_only", "image_url": "https://a/x", "audio_url": "https://a/y", **more}


def refusal_of(value: Any) -> JobRefused:
    with pytest.raises(JobRefused) as caught:
        read_job(value)
    return caught.value


def test_the_three_types_are_known_by_the_names_that_clients_send() -> None:
    assert set(JOB_TYPES.values()) == {"image", "lipsync_only", "full_render"}
    for name, kind in JOB_TYPES.items():
        value_of = {**lipsync(script="Hello."), "job_type": name.upper()}
        if kind == "image":
            assert refusal_of({"input": value_of}).code == "job.image_missing"
        else:
            assert read_job({"id": "made-by-a-queue", "input": value_of}).job_type == kind


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ({}, "job.no_input", "input"),
        ([], "job.no_input", "input"),
        ({"input": "x"}, "job.no_input", "input"),
        ({"input": {}}, "job.unknown_type", "None"),
        ({"input": {"job_type": "persona_build"}}, "job.unknown_type", "persona_build"),
        ({"input": {"job_type": ["image"]}}, "job.unknown_type", "image"),
        (
            {"input": {"job_type": "image", "prompt": "a cat", "width": 5}},
            "job.image_missing",
            "text-to-image",
        ),
        ({"input": {"job_type": "lipsync_only", "image_url": "https://a/x"}}, "job.invalid", "audio_url"),
        ({"input": {"job_type": "full_render", "image_url": "https://a/x"}}, "job.invalid", "script"),
        ({"input": lipsync(music_url="https://a/z")}, "job.invalid", "music_url"),
        ({"input": lipsync(persona="nova")}, "job.invalid", "not both"),
        ({"input": lipsync(quality="best")}, "job.invalid", "quality"),
        ({"input": lipsync(duration=5)}, "job.invalid", "as long as its sound"),
        ({"input": {"job_type": "full_render", "script": "x", "duration": -1}}, "job.invalid", "duration"),
        ({"input": {"job_type": "full_render", "script": "x", "consent_id": "c"}}, "job.invalid", "consent"),
        ({"input": lipsync(image_url="x" * 5000)}, "job.invalid", "image_url"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(value: Any, code: str, says: str) -> None:
    error = refusal_of(value)
    assert error.code == code and says in f"{error.message} {error.hint}" and error.hint


def test_no_refusal_repeats_a_url_because_it_may_hold_a_key() -> None:
    secret = "https://bucket/x?signature=s3cr3t"
    error = refusal_of({"input": {**lipsync(image_url=secret), "nonsense": secret, "audio_url": [secret]}})
    assert "s3cr3t" not in f"{error.message} {error.hint}"


def test_a_job_becomes_the_spec_of_what_it_asks_for() -> None:
    job = read_job({"input": lipsync(quality="cinematic", format={"width": 720, "height": 1280, "fps": 30})})
    photo = spec_of_job(job, Presenter(), face_of(REF, "image", None), REF)
    assert isinstance(photo, RenderSpec)
    assert (photo.canvas.width, photo.canvas.height, photo.canvas.fps) == (720, 1280, 30)
    assert (photo.output.video.crf, photo.scenes[0].face.kind, photo.scenes[0].lead_in_ms) == (15, "photo", 0)
    video = spec_of_job(job, Presenter(), face_of(REF, "video", None), REF)
    assert isinstance(video, LipsyncSpec) and isinstance(video.face, VideoFace)
    full = read_job({"input": {"job_type": "full_render", "script": "Hello.", "duration": 4}})
    spec = spec_of_job(full, Presenter(), None, None)
    assert isinstance(spec, RenderSpec)
    assert (spec.scenes[0].face.kind, spec.scenes[0].duration_ms) == ("rig", 4000)
    odd = read_job({"input": lipsync(format={"width": 721, "height": 10})})
    with pytest.raises(JobRefused, match=r"format\.width"):
        spec_of_job(odd, Presenter(), face_of(REF, "image", None), REF)


def test_a_presenter_of_a_job_has_a_mood_of_their_own() -> None:
    job = read_job({"input": {"job_type": "full_render", "script": "Hello.", "persona": "amina"}})
    spec = spec_of_job(job, _presenter(job), None, None)
    assert isinstance(spec, RenderSpec) and spec.scenes[0].mood == load_presenter("amina").mood == "warm"


def fetch_error(url: str, tmp_path: Path, **bounds: Any) -> AvatarError:
    with pytest.raises(AvatarError) as caught:
        fetch_file(url, tmp_path / "file", FetchBounds(**{"networks": LOOPBACK, **bounds}), "image_url")
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
        "0.0.0.0", "[::]",  # noqa: S104 - asked for, not listened on
        "10.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "224.0.0.1",
        "[64:ff9b:1:a00:0:100:808:808]",
    ],
)  # fmt: skip
def test_no_url_leads_into_this_machine_or_its_networks(host: str, tmp_path: Path) -> None:
    for scheme in ("http", "https"):
        error = fetch_error(f"{scheme}://{host}:1/file", tmp_path, networks=())
        # An octal number is no URL to the client; other forms reach the check of addresses.
        assert error.code == ("job.bad_url" if host == "0177.0.0.1" else "job.address_refused"), host


@pytest.mark.parametrize("host", ["169.254.169.254", "[::]", "224.0.0.1", "100.100.100.200"])
def test_no_operator_opens_metadata_and_the_like(host: str, tmp_path: Path) -> None:
    everything = read_networks(["0.0.0.0/0", "::/0"])
    assert fetch_error(f"https://{host}/x", tmp_path, networks=everything).code == "job.address_refused"


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://a/x", "https://", "https://u:p@a/x", "https://a/x#y", "//a/x"]
)
def test_what_is_no_url_to_fetch_is_refused(url: str, tmp_path: Path) -> None:
    assert fetch_error(url, tmp_path).code == "job.bad_url"


def test_plain_http_is_for_networks_that_the_operator_opened(tmp_path: Path) -> None:
    assert fetch_error("http://93.184.215.14/x", tmp_path).code == "job.bad_url"


def test_a_public_address_of_this_machine_is_none_that_jobs_fetch_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its services may trust it."""
    monkeypatch.setattr(outgoing, "_is_public", lambda _: True)
    assert fetch_error("https://127.0.0.1/x", tmp_path, networks=()).code == "job.address_refused"


def test_a_name_that_means_a_public_and_a_private_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert fetch_error("https://rebinding.example/x", tmp_path, networks=()).code == "job.address_refused"


def test_a_file_comes_as_it_is_with_the_mark_of_outgoing_calls(tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    with serving({"/file": content}) as (url, seen):
        fetch_file(f"{url}/file?key=1", tmp_path / "file", FetchBounds(networks=LOOPBACK), "image_url")
    assert (tmp_path / "file").read_bytes() == content
    assert seen[0]["soundstage-outgoing"] == "1" and seen[0]["accept-encoding"] == "identity"
    assert seen[0]["host"] == url.removeprefix("http://")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(65_536))
    except OSError:
        return


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def slow(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Headers without an end, each before anybody calls it silence."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            handler.wfile.write(b"X-%d: y\r\n" % number)
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


def send_packed(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://169.254.169.254/latest/meta-data")
    handler.end_headers()


@pytest.mark.parametrize(
    ("answer", "bounds", "code"),
    [
        (endless, {"max_bytes": 1 << 20}, "job.file_too_large"),
        (silent, {"silence_s": 0.3}, "job.too_slow"),
        (slow, {"total_s": 0.5}, "job.too_slow"),
        (dripping, {"total_s": 0.5}, "job.too_slow"),
        (send_packed, {}, "job.not_fetched"),
        (elsewhere, {}, "job.not_fetched"),
        (b"", {}, "job.not_fetched"),
    ],
)
def test_a_server_that_misbehaves_is_left_in_bounds(
    answer: Any, bounds: dict[str, Any], code: str, tmp_path: Path
) -> None:
    with serving({"/file": answer}) as (url, _):
        error = fetch_error(f"{url}/file?key=s3cr3t", tmp_path, **bounds)
    assert error.code == code and "s3cr3t" not in str(error)


def test_nobody_there_and_not_there_are_told_apart(tmp_path: Path) -> None:
    with serving({}) as (url, _):
        assert fetch_error(f"{url}/file", tmp_path).code == "job.not_fetched"
    error = fetch_error(f"{url}/file", tmp_path)
    assert isinstance(error, Unavailable) and error.code == "job.unreachable"
    with pytest.raises(InvalidInput, match="no network"):
        read_networks(["10.0.0.0/99"])


def run(job: dict[str, Any], folder: Path, *more: str) -> tuple[int, Path]:
    folder.mkdir(exist_ok=True)
    payload, out = folder / "spec.json", folder / "video.mp4"
    payload.write_text(json.dumps({"input": job}))
    return main(
        ["render", str(payload), str(out), "--cache", str(folder / "c"), "--confined", "--json", *more]
    ), out


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    reported: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return reported


SMALL = {"width": 256, "height": 256, "fps": 10}


def test_a_lipsync_only_job_becomes_a_video_of_the_picture_saying_the_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = speak(Scene(id="s", script="Hello there."), tmp_path / "said", lambda ref: Path())
    files: dict[str, bytes | Answer] = {
        "/face.png": (PICTURES / "drawn.png").read_bytes(),
        "/speech.wav": sound.wav.read_bytes(),
    }
    with serving(files) as (url, seen):
        job = lipsync(image_url=f"{url}/face.png", audio_url=f"{url}/speech.wav", format=SMALL)
        assert run(job, tmp_path / "a", "--network", "127.0.0.0/8")[0] == 1
        assert (last(capsys)["code"], seen) == ("consent.required", [])
        assert run({**job, "consent": CONSENT}, tmp_path / "b")[0] == 1
        assert (last(capsys)["code"], seen) == ("job.address_refused", [])
        code, out = run({**job, "consent": CONSENT}, tmp_path / "c", "--network", "127.0.0.0/8")
        reported = last(capsys)
    assert code == 0 and out.stat().st_size > 1000, reported
    assert reported["event"] == "result" and abs(reported["duration_ms"] - sound.duration_ms) <= 100


def test_a_full_render_says_a_script_by_a_presenter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = {"job_type": "full_render", "script": "Hi.", "persona": "milo", "format": SMALL, "captions": "soft"}
    code, out = run(job, tmp_path)
    assert code == 0 and out.is_file() and out.with_suffix(".vtt").is_file(), last(capsys)
    capsys.readouterr()
    assert run({**job, "persona": "ada"}, tmp_path)[0] == 1
    assert last(capsys)["code"] == "job.unknown_persona"


def test_an_image_job_is_refused_with_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run({"job_type": "image", "prompt": "a harbour"}, tmp_path)
    reported = last(capsys)
    assert (code, reported["event"], reported["code"], out.exists()) == (
        1,
        "error",
        "job.image_missing",
        False,
    )
