"""The real server, as often as a test wants it over one database, and a browser's part of the conversation."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]


class Server:
    def __init__(self, database: Path, **env: str) -> None:
        command = [sys.executable, "-m", "uvicorn", "watch_party.main:app", "--port", "0", "--ws-max-size", "16384"]
        command += ["--timeout-graceful-shutdown", "5"]
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "DATABASE": str(database), **env}
        )
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if found := re.search(r"running on (http://[0-9.:]+)", line):
                self.url = found[1]
                return
        raise AssertionError(said)

    def stop(self) -> int:
        """As an engine stops a container."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=10)
        return self._process.returncode

    def ask(self, path: str, body: Json | bytes | None = None) -> tuple[int, Any]:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def new_room(self, key: str = "host-key-0123456789") -> str:
        status, room = self.ask("/api/rooms", {"name": "Test", "key": key})
        assert status == 201, room
        return str(room["id"])


class Browser:
    def __init__(self, server: Server, room: str, name: str, key: str | None = None, after: int = 0) -> None:
        self.key = key or uuid4().hex
        self._stack = ExitStack()
        url = f"{server.url}/api/rooms/{room}/socket".replace("http", "ws")
        self.socket: ClientConnection = self._stack.enter_context(connect(url))
        self.say({"type": "hello", "key": self.key, "name": name, "after": after})
        self.welcome = self.hear("welcome")
        self.id = str(self.welcome["you"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def say(self, frame: Json | str | bytes) -> None:
        self.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def chat(self, text: str, id: str | None = None) -> str:
        id = id or uuid4().hex
        self.say({"type": "chat", "id": id, "text": text})
        return id

    def hear(self, *types: str, timeout: float = 5) -> Json:
        """The next frame of one of these types; what else is said meanwhile is passed over."""
        while True:
            frame: Json = json.loads(self.socket.recv(timeout))
            if frame["type"] in types:
                return frame

    def hear_texts(self, count: int) -> list[str]:
        texts: list[str] = []
        while len(texts) < count:
            texts += [message["text"] for message in self.hear("messages")["messages"]]
        return texts


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def started(**env: str) -> Server:
        servers.append(Server(tmp_path / "state.db", **env))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


@pytest.fixture
def server(start: Start) -> Server:
    return start()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all that must not harm it."""
    server = Server(tmp_path_factory.mktemp("shared") / "state.db")
    yield server
    server.stop()
