"""A network and a table of host names that only some processes have: every port is free there.

`python -m support.namespace HOSTS` holds one until its standard input ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.process import PATIENCE, PYTHON
from support.standing import ENVIRON

SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS, which `ip link set lo up` does
UP: Final = 0x41  # and running


@contextmanager
def namespace(hosts: Path) -> Iterator[Sequence[str]]:
    """Yield what to put before a command that is to run there, with `hosts` as /etc/hosts."""
    root = os.geteuid() == 0
    unshare = ["unshare", *([] if root else ["--map-root-user"]), "--net", "--mount"]
    with subprocess.Popen(
        [*unshare, PYTHON, "-m", "support.namespace", hosts],
        env={"PATH": os.environ["PATH"], **ENVIRON},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n", "there is no network namespace to have"
        enter = ["nsenter", f"--target={holder.pid}", "--net", "--mount"]
        if not root:
            enter += ["--user", "--preserve-credentials"]
        try:
            yield enter
        finally:
            holder.stdin.close()
            assert holder.wait(PATIENCE) == 0


def main(hosts: str) -> None:
    """Hold a namespace that this process was started in."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", UP))
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    print("ready", flush=True)  # noqa: T201 - who started it waits for that
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
