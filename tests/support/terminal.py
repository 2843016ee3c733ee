"""A reader's terminal: the commands of a page, run in turn on a machine with nothing on it.

A page has a network and host names of its own, so that the ports and the names that it shows are
free to have: app.viam.com is a simulated service that knows `support.account`. What a block
exports, and the folder in which it ends, stay so for the next one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from support import account
from support.certificates import Authority
from support.clock import NOON
from support.documents import STANDSTILL, Block
from support.namespace import namespace
from support.process import EXPORTER, PATIENCE, PYTHON, ROOT, TOOL, Lines, running, until
from support.standing import ENVIRON, STANDING, standing

# Where readers begin, and with what:
CHECKOUT: Final = "checkout"  # in a checkout that is set up
ACCOUNT: Final = "account"  # the same, with an account at Viam whose key they type when asked
ELSEWHERE: Final = "elsewhere"  # in a folder of their own, with the commands
CONFIGURED: Final = "configured"  # the same, with an account whose key is in the environment
# At NOON, before the eight companies of the simulator: STANDSTILL.
PLACES: Final = frozenset({CHECKOUT, ACCOUNT, ELSEWHERE, CONFIGURED, STANDSTILL})

SEPARATOR: Final = "\x1e"
# What curl ends with when nobody listens yet, and when what listens is not ready. What it cannot
# make sense of is a service that is no web server, which is ready once it listens.
WAITING: Final = frozenset({7, 22})
HOME: Final = "/home/you"  # as pages call the reader's home folder
# What is due to who runs the tests, and not to the command.
NOISE: Final = "running as root"


class Terminal:
    """Types the blocks of a page. Make one with `terminal`."""

    def __init__(self, home: Path, enter: Sequence[str]) -> None:
        self._home = home
        self._enter = enter
        self._begin = home / CHECKOUT if (home / CHECKOUT).exists() else home
        self._state = home / ".terminal"
        self._background: dict[int, tuple[subprocess.Popen[str], Lines]] = {}

    def type(self, block: Block) -> list[str]:
        """Run a block to its end, or until it serves; returns what its commands printed.

        Fails if a command of it does, or the last one does not where it should.
        """
        if block.stops is not None:
            self._stop(block.stops)
        if block.port is None:
            return self._run(block)
        outputs = []
        for one in block.alternatives:
            outputs += self._serve(one, block.port)
        return outputs

    def write(self, block: Block) -> None:
        """Have a file of the page."""
        file = self._begin / block.rest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)

    def close(self) -> None:
        """Stop what still runs."""
        for port in list(self._background):
            self._stop(port)

    def _run(self, block: Block) -> list[str]:
        process = self._start(block)
        output, _ = process.communicate(f"{account.ACCOUNT.api_key}\n", timeout=2 * PATIENCE)
        output = output.replace(str(self._home), HOME)
        if block.place != STANDSTILL:
            assert (process.returncode != 0) is block.fails, f"{block.name}:\n{output}"
        return _outputs(output)

    def _serve(self, block: Block, port: int) -> list[str]:
        self._stop(port)
        process = self._start(block)
        assert process.stdin
        process.stdin.close()
        assert process.stdout
        lines = Lines(process.stdout)
        self._background[port] = (process, lines)
        until(
            lambda: process.poll() or self._ask(port) not in WAITING,
            f"{block.name}: port {port} is ready",
        )
        assert not process.poll(), f"{block.name}:\n{lines.text}"
        return _outputs(lines.text)

    def _ask(self, port: int) -> int:
        ask = ["curl", "--silent", "--fail", f"http://localhost:{port}/-/ready"]
        done = subprocess.run([*self._enter, *ask], capture_output=True, check=False)
        return done.returncode

    def _stop(self, port: int) -> None:
        """Press Ctrl-C, if something serves there."""
        if port in self._background:
            process, lines = self._background.pop(port)
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):  # the group is empty
                    os.killpg(process.pid, number)
                lines.finish()
            process.wait(PATIENCE)

    def _start(self, block: Block) -> subprocess.Popen[str]:
        script = [f"cd {self._begin}; [ ! -e {self._state} ] || . {self._state}"]
        script += ["set -u" if block.place == STANDSTILL else "set -eu"]
        for command, _ in block.steps:
            script += [f"printf '{SEPARATOR}'", command.rstrip("\n")]
        script.append(f"{{ export -p; echo 'cd \"$PWD\"'; }} > {self._state}")
        return subprocess.Popen(
            [*self._enter, "sh", "-c", "\n".join(script)],
            env=self._environ(block),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def _environ(self, block: Block) -> Mapping[str, str]:
        environ = {
            "PATH": f"{self._home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self._home),
            "LC_ALL": "C.UTF-8",
            "SSL_CERT_FILE": str(self._home / "tls" / "ca.crt"),
        }
        if block.place == CONFIGURED:
            environ["VIAM_API_KEY_ID"] = account.ACCOUNT.api_key_id
            environ["VIAM_API_KEY"] = account.ACCOUNT.api_key
        return environ


def _outputs(text: str) -> list[str]:
    """Return what each command printed."""
    outputs = []
    for output in text.split(SEPARATOR)[1:]:
        lines = [line for line in output.splitlines() if NOISE not in line]
        if lines and lines[0].startswith("downloaded "):  # they end in any order
            lines[:-1] = sorted(lines[:-1])
        outputs.append("".join(f"{line}\n" for line in lines))
    return outputs


@contextmanager
def terminal(home: Path, places: Collection[str], faults: Sequence[str] = ()) -> Iterator[Terminal]:
    """Have a terminal for a page, in a folder of its own, with what its places have.

    `faults` are those of the service at NOON.
    """
    with ExitStack() as stack:
        if STANDSTILL in places:
            _put(home / "bin", {"viam-billing": [*STANDING, "run", str(NOON)]}, ENVIRON)
            service = stack.enter_context(standing(home))
            stack.enter_context(service.failing(*faults))
            yield Terminal(home, ())
            return
        programs = {
            "viam-billing-exporter": EXPORTER,
            "viam-billing": TOOL,
            "python": [PYTHON],
            "alertmanager": ["prometheus-alertmanager"],  # Debian's name for it
        }
        _put(home / "bin", programs, {})
        if {CHECKOUT, ACCOUNT} & set(places):
            _check_out(home / CHECKOUT)
        hosts = home / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {account.HOST}\n::1 localhost\n")
        enter = stack.enter_context(namespace(hosts))
        if {ACCOUNT, CONFIGURED} & set(places):
            (home / "tls").mkdir()
            pair = Authority(home / "tls").issue(account.HOST, f"DNS:{account.HOST}")
            serve: list[str | Path] = [
                *enter,
                PYTHON,
                "-m",
                "support.account",
                str(account.PORT),
                *pair,
            ]
            process = stack.enter_context(running(*serve, environ=ENVIRON))
            process.stdout.wait_for("ready")
        it = Terminal(home, enter)
        stack.callback(it.close)
        yield it


def _put(folder: Path, programs: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> None:
    folder.mkdir()
    given = [f"{name}={value}" for name, value in environ.items()]
    for name, command in programs.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(["env", *given, *command])} "$@"\n')
        program.chmod(0o755)


def _check_out(folder: Path) -> None:
    """Copy the repository, with an environment that is set up: it is that of the tests."""
    made = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "node_modules")
    shutil.copytree(ROOT, folder, ignore=made)
    venv = folder / ".venv"
    venv.mkdir()
    for each in Path(sys.prefix).iterdir():
        (venv / each.name).symlink_to(each)
    (venv / ".done").unlink(missing_ok=True)  # the link: the file is that of the copy
    (venv / ".done").touch()
