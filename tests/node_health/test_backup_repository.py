"""Encrypted copies in a folder, over SSH and on S3: what opens them, what a test restore finds, what a loss
costs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backup_error import BackupError
from backup_farm import PASSWORD, Backups
from repository import Repository
from s3_server import S3Server
from waiting import eventually

pytestmark = pytest.mark.cached("ansible/roles/backup", "tools")
SECRET = "the only copy of what nova said"
LIMIT_AND_MARK = """
SELECT datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()
"""


def with_database(backups: Backups, folder: Path) -> Path:
    """One part: a database with the secret in it."""
    file = folder / "studio.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE lines (text TEXT)")
        database.execute("INSERT INTO lines VALUES (?)", (SECRET,))
    backups.config["databases"] = [{"name": "studio", "kind": "sqlite", "path": str(file)}]
    return file


def text_in(file: Path) -> str:
    return str(sqlite3.connect(file).execute("SELECT text FROM lines").fetchone()[0])


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path)


@pytest.fixture
def on_s3(tmp_path: Path, s3: S3Server) -> Backups:
    bucket = s3.bucket()
    environment = tmp_path / "s3.json"
    keys = {"AWS_ACCESS_KEY_ID": bucket.access_key_id, "AWS_SECRET_ACCESS_KEY": bucket.secret_access_key}
    environment.write_text(json.dumps(keys))
    url = f"s3:{bucket.endpoint_url}/{bucket.folder.parents[1].name}/farm"
    return Backups(tmp_path, url, environment_file=str(environment))


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def over_ssh(tmp_path: Path) -> Iterator[Backups]:
    """A server of SSH on a free port, which knows one key."""
    if shutil.which("sshd") is None and not Path("/usr/sbin/sshd").exists():
        pytest.skip("sshd is not installed: apt install openssh-server")
    for name in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "client.pub",
        "StrictModes": "no",
        "PidFile": "none",
        "UsePAM": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (tmp_path / "sshd").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-e", "-f", tmp_path / "sshd"], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: _listens(port), "sshd", 20)
        keys = {"key_file": str(tmp_path / "client"), "known_hosts_file": str(tmp_path / "known")}
        user = os.environ.get("USER", "root")
        url = f"sftp://{user}@127.0.0.1:{port}/{tmp_path / 'elsewhere'}"
        yield Backups(tmp_path, url, ssh=keys)
    finally:
        server.terminate()
        server.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def restores_a_lost_database(backups: Backups, folder: Path) -> None:
    file = with_database(backups, folder)
    copy = backups.take()
    file.unlink()
    done = backups.run("restore")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"studio as in {copy}. What changed in the 0.0 h since then is lost.")
    assert text_in(file) == SECRET


def test_a_lost_database_comes_back_from_s3_where_nothing_lies_in_clear(
    on_s3: Backups, s3: S3Server, tmp_path: Path
) -> None:
    restores_a_lost_database(on_s3, tmp_path)
    stored = content_of(s3.folder)
    assert len(stored) > 1000
    assert SECRET.encode() not in stored and b"control-1" not in stored
    assert on_s3.problems() == ["backup.no_recovery_key"]


def test_a_lost_database_comes_back_over_ssh(over_ssh: Backups, tmp_path: Path) -> None:
    restores_a_lost_database(over_ssh, tmp_path)
    assert SECRET.encode() not in content_of(tmp_path / "elsewhere")


def test_another_server_of_ssh_is_refused(over_ssh: Backups, tmp_path: Path) -> None:
    with_database(over_ssh, tmp_path)
    known = tmp_path / "known"
    known.write_text(known.read_text().split()[0] + " " + (tmp_path / "client.pub").read_text())
    done = over_ssh.run("take")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.repository_failed")


def test_nothing_stays_in_clear_on_the_machine(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    backups.take()
    (tmp_path / "studio.sqlite").unlink()
    assert SECRET.encode() not in content_of(tmp_path)
    assert not (backups.state / "copy").exists()
    assert backups.state.stat().st_mode & 0o777 == 0o700


def test_what_a_killed_run_left_in_clear_goes_with_the_next(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    left = backups.state / "copy" / "studio.dump"
    left.parent.mkdir(parents=True)
    left.write_text("of a run that was killed")
    assert "studio.dump" in backups.files(backups.take())
    assert not left.exists()


def repository_bytes(backups: Backups, s3: S3Server) -> int:
    data = s3.folder.joinpath(*backups.repository.split("/")[3:], "data")
    return sum(path.stat().st_size for path in data.rglob("*") if path.is_file())


def test_a_copy_that_was_cut_off_does_not_count_and_the_next_run_goes_on(
    on_s3: Backups, s3: S3Server, tmp_path: Path
) -> None:
    with_database(on_s3, tmp_path)
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "video").write_bytes(os.urandom(60 << 20))
    large = {"name": "large", "kind": "folder", "path": str(tmp_path / "large")}
    on_s3.config["databases"].append(large)
    process = on_s3.start("take")
    eventually(lambda: repository_bytes(on_s3, s3) > 4 << 20, "the first data on S3", 60)
    s3.stop()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    on_s3.config["answer_s"] = 3
    assert on_s3.problems() == ["backup.repository_silent"]
    done = on_s3.run("take")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.repository_silent")
    metrics = Path(on_s3.config["metrics_file"]).read_text()
    assert "soundstage_backup_last_success_timestamp_seconds 0\n" in metrics
    assert "soundstage_backup_last_failure_timestamp_seconds 0\n" not in metrics
    s3.start()
    del on_s3.config["answer_s"]
    assert on_s3.copies() == []
    on_s3.take()
    assert len(on_s3.copies()) == 1
    assert on_s3.run("verify").returncode == 0


def test_a_short_absence_of_s3_in_mid_backup_costs_nothing(
    on_s3: Backups, s3: S3Server, tmp_path: Path
) -> None:
    with_database(on_s3, tmp_path)
    (tmp_path / "studio.video").write_bytes(os.urandom(40 << 20))
    files = {"name": "video", "kind": "files", "path": str(tmp_path), "files": ["studio.video"]}
    on_s3.config["databases"].append(files)
    process = on_s3.start("take")
    eventually(lambda: repository_bytes(on_s3, s3) > 1 << 20, "the first data on S3", 60)
    s3.stop()
    time.sleep(2)
    s3.start()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.endswith("holds studio, video.\n")


def test_the_metrics_say_when_and_how_much(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    before = time.time()
    backups.take()
    lines = Path(backups.config["metrics_file"]).read_text().splitlines()
    values = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    assert abs(values["soundstage_backup_last_success_timestamp_seconds"] - before) < 120
    assert values["soundstage_backup_size_bytes"] > 1000
    assert values["soundstage_backup_copies"] == 1
    assert values["soundstage_backup_off_machine"] == 0
    assert values["soundstage_backup_last_verified_timestamp_seconds"] == 0


def test_a_good_copy_is_no_problem_and_an_old_one_is(backups: Backups, tmp_path: Path) -> None:
    assert backups.problems() == ["backup.none"]
    with_database(backups, tmp_path)
    backups.take()
    assert backups.problems() == []
    backups.config["oldest_h"] = -1
    assert backups.problems() == ["backup.old"]


def test_a_test_restore_finds_a_spoiled_repository(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    backups.take()
    assert backups.run("verify").returncode == 0
    assert backups.problems() == []
    for pack in Path(backups.repository, "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[len(content) // 3] ^= 1
            pack.write_bytes(content)
    shutil.rmtree(backups.state / "cache")
    assert backups.run("verify").returncode == 1
    assert backups.problems() == ["backup.damaged"]


def test_a_test_restore_finds_a_database_that_does_not_open(backups: Backups, tmp_path: Path) -> None:
    """A snapshot may be what was stored, and still be no database: hashes alone do not tell."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text").write_text("no database")
    backups.config["databases"] = [{"name": "studio", "kind": "folder", "path": str(tmp_path / "notes")}]
    backups.take()
    backups.config["databases"] = [
        {"name": "studio", "kind": "sqlite", "path": str(tmp_path / "studio.sqlite")}
    ]
    done = backups.run("verify")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.database_failed")
    assert not (backups.state / "scratch").exists()


def test_a_copy_that_nobody_has_restored_for_long_is_a_problem(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    backups.take()
    backups.config["verify_days"] = -1
    assert backups.problems() == ["backup.not_verified"]


def test_a_postgresql_database_is_restored_into_a_scratch_one(
    backups: Backups, make_database: Callable[[str], Callable[[str], str]]
) -> None:
    sql = make_database("farm")
    sql(f"CREATE TABLE lines AS SELECT '{SECRET}'::text AS text")
    backups.config["databases"] = [{"name": "studio", "kind": "postgresql", "database": "farm"}]
    backups.take()
    done = backups.run("verify")
    assert done.returncode == 0, done.stderr
    sql("DELETE FROM lines")
    service = subprocess.Popen(["psql", "--dbname", "farm", "--command", "SELECT pg_sleep(60)"])
    done = backups.run("restore")
    assert done.returncode == 0, done.stderr
    assert SECRET in sql("SELECT text FROM lines")
    assert "soundstage_verify" not in sql("SELECT datname FROM pg_database")
    assert service.wait(10) != 0, "who was connected has lost its connection"
    assert sql(LIMIT_AND_MARK).split("|")[0].strip() == "-1"
    mark = sql(LIMIT_AND_MARK).split("|")[1].strip()
    assert re.fullmatch(r"soundstage: loaded from backup [0-9a-f]{16}", mark)


def test_a_dump_that_does_not_load_leaves_the_database_as_it_was(
    backups: Backups, make_database: Callable[[str], Callable[[str], str]]
) -> None:
    sql = make_database("half")
    sql("CREATE TABLE lines AS SELECT 1 AS number")
    backups.config["databases"] = [{"name": "studio", "kind": "postgresql", "database": "half"}]
    backups.take()
    # Something that the dump does not know refers to its table, so that it cannot be replaced.
    sql("CREATE VIEW seen AS SELECT number + 1 AS more FROM lines")
    done = backups.run("restore")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.database_failed")
    assert sql("SELECT more FROM seen").strip() == "2"
    assert sql(LIMIT_AND_MARK).split() == ["-1", "|"]
    sql("COMMENT ON DATABASE half IS 'soundstage: loaded from backup 0123456789abcdef'")
    assert backups.run("restore").returncode == 1
    mark = sql(LIMIT_AND_MARK).split("|")[1].strip()
    assert mark == "soundstage: loaded from backup 0123456789abcdef", "it is still to be finished"


def test_the_recovery_key_alone_opens_the_newest_copy(on_s3: Backups, tmp_path: Path) -> None:
    with_database(on_s3, tmp_path)
    on_s3.config["prove_key_days"] = -1
    created = on_s3.run("key")
    key = created.stdout.strip()
    assert key.startswith("AGE-SECRET-KEY-1") and "shown once" in created.stderr
    assert key not in content_of(on_s3.state).decode(errors="replace")
    on_s3.take()
    assert on_s3.problems() == ["backup.key_not_proven"]
    (tmp_path / "key").write_text(f"# of the farm\n{key}\n")
    (tmp_path / "password").write_text("nothing that opens it\n")
    done = on_s3.run("check", "--key", tmp_path / "key")
    assert done.returncode == 0, done.stderr
    assert "studio.dump" in done.stdout and key not in done.stdout
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    on_s3.config["prove_key_days"] = 180
    assert on_s3.problems() == []


def test_another_key_is_no_proof(on_s3: Backups, tmp_path: Path) -> None:
    with_database(on_s3, tmp_path)
    on_s3.run("key")
    on_s3.take()
    other = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "key").write_text(other)
    done = on_s3.run("check", "--key", tmp_path / "key")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.wrong_key")
    (tmp_path / "key").write_text("no key at all")
    assert on_s3.run("check", "--key", tmp_path / "key").stderr.startswith("backup.no_key")


def test_without_a_recovery_key_the_loss_is_named_before_it_happens(on_s3: Backups, tmp_path: Path) -> None:
    with_database(on_s3, tmp_path)
    on_s3.take()
    found = json.loads(on_s3.run("check").stdout)
    assert found["code"] == "backup.no_recovery_key"
    assert (
        "conversations, machines, personas, videos and the authorities of the farm are lost" in found["hint"]
    )


def test_a_lost_controller_gets_the_farms_secrets_with_the_recovery_key_alone(
    on_s3: Backups, tmp_path: Path
) -> None:
    with_database(on_s3, tmp_path)
    key = on_s3.run("key").stdout.strip()
    recipient = (on_s3.state / "recipient").read_text().strip()
    secrets = tmp_path / "secrets"
    (secrets / "tls").mkdir(parents=True)
    (secrets / "tls" / "ca-key.pem").write_text(SECRET)
    packed = subprocess.run(["tar", "--create", "--directory", secrets, "."], capture_output=True, check=True)
    sealing = ["age", "--encrypt", "--recipient", recipient, "--output", on_s3.state / "farm-secrets.age"]
    subprocess.run(sealing, input=packed.stdout, check=True)
    on_s3.take()
    (tmp_path / "key").write_text(key)
    proof = on_s3.run("check", "--key", tmp_path / "key").stdout
    assert "files of the farm's secrets" in proof
    words = ["recover-secrets", "--repository", on_s3.repository, "--host", "control-1"]
    words += ["--key", tmp_path / "key", "--to", tmp_path / "new", "--environment", tmp_path / "s3.json"]
    done = on_s3.run(*words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new/tls/ca-key.pem").read_text() == SECRET
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert on_s3.run(*words).stderr.startswith("backup.exists")


def test_a_new_machine_is_restored_before_it_makes_copies_of_its_own(
    backups: Backups, tmp_path: Path
) -> None:
    file = with_database(backups, tmp_path)
    first = backups.take()
    shutil.rmtree(backups.state)  # the machine is lost; a bare one has its name
    file.unlink()
    with_database(backups, tmp_path)
    sqlite3.connect(file).execute("DELETE FROM lines").connection.commit()
    assert json.loads(backups.run("init").stdout) == {"created": False, "copies": 1, "former": first}
    refused = backups.run("take")
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (1, "backup.not_restored")
    assert "backup.not_restored" in backups.problems()
    assert backups.run("restore").returncode == 0
    assert text_in(file) == SECRET
    second = backups.take()
    assert backups.copies() == [first, second]
    assert backups.problems() == []


def test_a_new_machine_may_begin_without_what_was(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    backups.take()
    shutil.rmtree(backups.state)
    assert backups.run("take", "--anew").returncode == 0
    assert backups.run("take").returncode == 0


def test_only_so_many_copies_are_kept(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    backups.config["keep"] = {"last": 2}
    names = [backups.take() for _ in range(3)]
    assert backups.copies() == names[1:]
    backups.config["keep"] = {}
    names.append(backups.take())
    assert backups.copies() == names[1:]


def test_copies_of_the_former_form_go_into_the_repository_and_their_clear_files_away(
    backups: Backups, tmp_path: Path
) -> None:
    file = with_database(backups, tmp_path)
    old = Path(backups.config["old_folder"]) / "20250102T030405Z"
    old.mkdir(parents=True)
    with sqlite3.connect(old / "studio.dump") as database:
        database.execute("CREATE TABLE lines (text TEXT)")
        database.execute("INSERT INTO lines VALUES ('long ago')")
    database.close()
    digest = subprocess.run(
        ["sha256sum", old / "studio.dump"], capture_output=True, text=True
    ).stdout.split()[0]
    (old / "manifest.json").write_text(json.dumps({"made": old.name, "files": {"studio.dump": digest}}))
    copy = backups.take()
    assert backups.copies() == [old.name, copy]
    assert not old.exists()
    assert backups.run("restore", old.name, "studio").returncode == 0
    assert text_in(file) == "long ago"


def blob_of(folder: Path, content: bytes) -> Path:
    name = subprocess.run(["sha256sum"], input=content, capture_output=True).stdout.decode().split()[0]
    file = folder / name[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("policy", ["all", "personas"])
def test_videos_and_uploads_come_back_as_the_policy_says(
    backups: Backups, tmp_path: Path, policy: str
) -> None:
    state = tmp_path / "state"
    blobs = state / "blobs"
    photo, video = blob_of(blobs, b"a photo"), blob_of(blobs, os.urandom(1 << 20))
    (blobs / ".staging").mkdir()
    (blobs / ".staging" / "half").write_text("an upload that goes on")
    file = with_database(backups, tmp_path)
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE blob_references (sha256 TEXT, owner TEXT)")
        rows = [(f"sha256:{photo.name}", "persona:nova"), (f"sha256:{video.name}", "render:1")]
        database.executemany("INSERT INTO blob_references VALUES (?, ?)", rows)
    part = {"name": "videos", "kind": "blobs", "path": str(blobs), "policy": policy, "index": "studio"}
    backups.config["databases"].append(part)
    backups.take()
    sent = json.loads((backups.state / "state.json").read_text())["added_bytes"]
    backups.take()
    again = json.loads((backups.state / "state.json").read_text())["added_bytes"]
    assert (sent > 1 << 20) == (policy == "all")
    assert again < 200_000  # what the repository has is not sent again
    content = {path: path.read_bytes() for path in (photo, video)}
    shutil.rmtree(blobs)
    # On new hardware users have other numbers.
    state.chmod(0o710)
    if os.geteuid() == 0:
        os.chown(state, 4242, 4242)
    before = state.stat()
    assert backups.run("verify").returncode == 0
    done = backups.run("restore")
    assert done.returncode == 0, done.stderr
    assert photo.read_bytes() == content[photo]
    assert video.exists() == (policy == "all")
    assert not (blobs / ".staging" / "half").exists()
    after = state.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


@pytest.mark.parametrize("there", [True, False])
def test_only_a_file_that_was_collected_meanwhile_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """restic stores a copy without files that it could not read; root can read all, so its answer stands
    here.
    """
    file = tmp_path / "blob"
    file.touch() if there else None
    problem = {"message_type": "error", "error": {"Op": "read"}, "during": "archival", "item": str(file)}
    summary = {
        "message_type": "summary",
        "snapshot_id": "c0ffee",
        "total_bytes_processed": 1,
        "data_added": 1,
    }
    calls: list[list[str]] = []

    def restic(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if "backup" in command:
            return subprocess.CompletedProcess(command, 3, json.dumps(summary), json.dumps(problem))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("repository.subprocess.run", restic)
    config = {"repository": "/repository", "host": "control-1", "state_folder": str(tmp_path)}
    repository = Repository(config, tmp_path / "password")
    if not there:
        assert repository.save([file], "20260101T000000Z", "one").id == "c0ffee"
        return
    with pytest.raises(BackupError, match="could not be read"):
        repository.save([file], "20260101T000000Z", "one")
    assert calls[-1][-2:] == ["forget", "c0ffee"]


def test_a_repository_that_is_gone_is_not_made_anew_by_the_timer(backups: Backups, tmp_path: Path) -> None:
    with_database(backups, tmp_path)
    shutil.rmtree(backups.repository)
    done = backups.run("take")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.no_repository")
    assert backups.run("init").returncode == 0
    backups.take()
