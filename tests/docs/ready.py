"""`inforeg` at once: every command is a process of its own, forked from one that has loaded other people's libraries.

Loading them takes longer than most commands of the pages, and is the same for all. Of inforeg itself nothing is loaded
before the fork, so a command finds its own modules as it does where it is started by hand.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

LIBRARIES = (
    "torch",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.spatial",
    "nibabel",
    "SimpleITK",
    "pydantic",
    "typer",
)


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder for the front of PATH, with an `inforeg` that lasts as long as the block."""
    # Names of sockets may have a hundred letters: those who use it go to its folder.
    server = subprocess.Popen([sys.executable, __file__], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        (folder / "bin").mkdir()
        script = folder / "bin" / "inforeg"
        script.write_text(
            f"#!/bin/sh\nexec '{sys.executable}' -IS '{__file__}' '{folder}' \"$@\"\n", encoding="utf-8"
        )
        script.chmod(0o755)
        yield script.parent
    finally:
        server.terminate()
        server.communicate()


def serve() -> None:
    """Load the libraries, and from then on run commands."""
    for name in LIBRARIES:
        import_module(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    listener.listen()
    # Nobody waits for those who have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 70
            with suppress(BaseException):
                code = run(connection)
            connection.sendall(bytes([code]))
            os._exit(0)
        connection.close()


def run(connection: socket.socket) -> int:
    """One command, in the folder and with the environment and the streams of who asks for it."""
    said, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while more := connection.recv(1 << 16):
        said += more
    asked = json.loads(said)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["inforeg", *asked["arguments"]]
    try:
        from inforeg.cli.main import main

        return main() or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def ask(folder: str, arguments: list[str]) -> int:
    """Have a command run, and end as it does."""
    asked = {"folder": os.getcwd(), "environment": dict(os.environ), "arguments": arguments}
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("socket")
        said = json.dumps(asked).encode()
        sent = socket.send_fds(server, [said], [0, 1, 2])
        server.sendall(said[sent:])
        server.shutdown(socket.SHUT_WR)
        answer = server.recv(1)
    return answer[0] if answer else 70


if __name__ == "__main__":
    if len(sys.argv) == 1:
        serve()
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
