import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from watch_party import migrate
from watch_party.store import connect

from .conftest import Browser, Server, Start


def run(database: Path) -> str:
    command = [sys.executable, "-m", "watch_party.migrate"]
    env = {**os.environ, "DATABASE": str(database)}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stderr


def test_it_makes_a_database_and_then_finds_nothing_to_do(tmp_path: Path) -> None:
    assert f"schema {migrate.newest()}, applied 1" in run(tmp_path / "state.db")
    assert f"schema {migrate.newest()}, nothing to apply" in run(tmp_path / "state.db")


def test_a_newer_schema_is_added_while_the_old_release_runs(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    room = server.new_room()
    newer = [*migrate.migrations(), (migrate.newest() + 1, "ALTER TABLE message ADD COLUMN reply TEXT;\n")]
    with Browser(server, room, "Ada") as ada:
        ada.chat("before")
        monkeypatch.setattr(migrate, "migrations", lambda: newer)
        assert migrate.migrate(connect(tmp_path / "state.db")) == [newer[-1][0]]
        ada.chat("after")
        assert ada.hear_texts(2) == ["before", "after"]
    assert server.ask("/healthz")[0] == 200
    # Going back: the old release's own command finds nothing to do.
    assert "nothing to apply" in run(tmp_path / "state.db")


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = connect(tmp_path / "state.db")
    migrate.migrate(db)
    broken = [*migrate.migrations(), (migrate.newest() + 1, "CREATE TABLE half (id);\nCREATE TABLE room (id);\n")]
    monkeypatch.setattr(migrate, "migrations", lambda: broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate.migrate(db)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0
    assert migrate.schema_of(db) == len(broken) - 1


def test_a_release_whose_migration_did_not_run_is_not_healthy(start: Start, tmp_path: Path) -> None:
    db = connect(tmp_path / "state.db")
    migrate.migrate(db)
    server = start()
    assert server.ask("/healthz")[0] == 200
    db.execute("PRAGMA user_version = 0")
    status, answer = server.ask("/healthz")
    assert status == 503 and "python -m watch_party.migrate" in answer["detail"]


def test_two_at_once_migrate_once(tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE": str(tmp_path / "state.db")}
    command = [sys.executable, "-m", "watch_party.migrate"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    said = [each.communicate(timeout=20)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sorted("nothing" in text for text in said) == [False, True]


def test_the_state_is_there_after_a_restart(start: Start) -> None:
    first: Server = start()
    room = first.new_room()
    with Browser(first, room, "Ada") as ada:
        ada.chat("kept")
        ada.hear_texts(1)
    assert first.stop() == -signal.SIGTERM
    with Browser(start(), room, "Ada") as ada:
        assert [message["text"] for message in ada.welcome["messages"]] == ["kept"]
