"""The `viam-billing` command: for people, beside the daemon.

A sub-command is a function from the parsed arguments to an exit code, and an `_add_...` function
that declares it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from exporter.address import Address
from exporter.app import SystemClock
from exporter.config import parse_duration
from exporter.simulator import (
    Account,
    FaultError,
    FaultFile,
    SimulatedClock,
    Simulator,
    catalogue,
    configuration,
    demo_fleet,
    fleet,
)

if TYPE_CHECKING:
    # Private to argparse, and yet the only type that add_subparsers returns.
    SubCommands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

EXIT_CODES: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage."
SIMULATE: Final = """\
Runs a simulated Viam billing service: real gRPC, invented companies, no account, no
internet. Prints an exporter configuration that fits it, and serves until interrupted.
"""
SIMULATE_EXAMPLE: Final = f"""\
To try the exporter, in two terminals:
  viam-billing simulate --speed=8640 --config-out=simulated.yml
  viam-billing-exporter --config.file=simulated.yml

A DURATION is written as in Prometheus: 50ms, 15s, 1h30m.
{EXIT_CODES}

A fault is written NAME[:KEY=VALUE,...], for example
  --fault=unavailable:method=GetInvoicesSummary,share=0.2
  --fault=hang:organization=3
  --fault=nan:from=30s,until=1m
KEY says what is hit: method=RPC, organization=ID or number from 1, share=0..1 of the calls,
every=N (every n-th), times=N (no more than that), from=DURATION and until=DURATION since the
start. Faults of connections know nothing of method and organization, and `refuse` has a time only.
SIGHUP reads the fault file again, and the certificate.

{catalogue()}
"""
FASTEST: Final = 100_000.0  # a month in 26 s; much faster, and the calendar ends within days
MOST_ORGANIZATIONS: Final = 100_000
STOP_WITHIN: Final = 1.0  # seconds that calls under way have to end


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser. The documentation is checked against it."""
    root = argparse.ArgumentParser(
        prog="viam-billing",
        description="Tools for Viam bills, beside the Prometheus exporter.",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_simulate(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that `argv` names and return its exit code."""
    arguments = parser().parse_args(argv)
    code: int = arguments.run(arguments)
    return code


def _add_simulate(commands: SubCommands) -> None:
    command = commands.add_parser(
        "simulate",
        help="run a simulated billing service, to try the exporter without an account",
        description=SIMULATE,
        epilog=SIMULATE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=_simulate)
    command.add_argument(
        "--listen-address",
        metavar="ADDRESS",
        type=_listen_address,
        default="127.0.0.1:8427",
        help="where to listen: host:port or [v6]:port, port 0 for any free one "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow an address that other machines can reach; encrypted with --tls-cert only",
    )
    command.add_argument(
        "--organizations",
        metavar="N",
        type=_organizations,
        help="that many generated organizations (default: eight with a story each, such as "
        "a spent budget, a declined card, a credit)",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=1,
        help="another seed, other ids, keys and costs; the same, the same (default: %(default)s)",
    )
    command.add_argument(
        "--speed",
        metavar="FACTOR",
        type=_speed,
        default=1.0,
        help="how much faster than real time months pass; five minutes each at 8640 "
        "(default: %(default)g)",
    )
    command.add_argument(
        "--latency",
        metavar="DURATION",
        type=_seconds,
        default=0.0,
        help="wait this long before each answer (default: not at all)",
    )
    command.add_argument(
        "--error-rate",
        metavar="SHARE",
        type=_share,
        default=0.0,
        help="fail this share of the calls, 0 to 1, as in an outage (default: %(default)g)",
    )
    command.add_argument(
        "--token-lifetime",
        metavar="DURATION",
        type=_seconds,
        help="let access tokens expire after this time (default: never)",
    )
    command.add_argument(
        "--fault",
        metavar="FAULT",
        action="append",
        default=[],
        help="inject a fault: NAME[:KEY=VALUE,...], see below; may be given several times",
    )
    command.add_argument(
        "--fault-file",
        metavar="FILE",
        type=Path,
        help="inject the faults in FILE, one a line, # for comments; read again on SIGHUP",
    )
    command.add_argument(
        "--tls-cert",
        metavar="FILE",
        type=Path,
        help="serve TLS with this certificate, PEM (default: nothing is encrypted)",
    )
    command.add_argument(
        "--tls-key",
        metavar="FILE",
        type=Path,
        help="the certificate's key, PEM (default: in the certificate's file)",
    )
    command.add_argument(
        "--tls-ca",
        metavar="FILE",
        type=Path,
        help="what the configuration printed trusts, PEM (default: the certificate itself)",
    )
    command.add_argument(
        "--poll-interval",
        metavar="DURATION",
        type=_duration,
        default="15s",
        help="the poll interval in the configuration printed (default: %(default)s)",
    )
    command.add_argument(
        "--config-out",
        metavar="FILE",
        help="write the configuration to FILE, for your eyes only (default: standard output)",
    )


def _simulate(arguments: argparse.Namespace) -> int:
    address: Address = arguments.listen_address
    if not (address.is_loopback or arguments.allow_remote):
        return _failed(
            f"other machines could reach {address}: listen on 127.0.0.1, or say --allow-remote", 2
        )
    if arguments.tls_cert is None and (arguments.tls_key or arguments.tls_ca):
        return _failed("--tls-key and --tls-ca need --tls-cert", 2)
    try:
        asyncio.run(_serve(arguments))
    except FaultError as error:
        return _failed(f"--fault: {error}", 2)
    except OSError as error:
        return _failed(str(error), 1)
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    """Simulate until SIGINT or SIGTERM.

    Raises FaultError for a --fault, and OSError if it cannot listen, read or write.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if arguments.organizations is None:
        accounts = demo_fleet(arguments.seed)
    else:
        accounts = fleet(arguments.organizations, arguments.seed)
    simulator = Simulator(
        accounts,
        SimulatedClock(SystemClock(), arguments.speed),
        rng=Random(arguments.seed),  # noqa: S311 - its tokens guard nothing
        latency=arguments.latency,
        error_rate=arguments.error_rate,
        token_lifetime=arguments.token_lifetime,
    )
    for fault in arguments.fault:
        simulator.inject(fault)
    tls = (
        None if arguments.tls_cert is None else ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    )
    rehearsal = Rehearsal(arguments, simulator, tls)
    if problems := rehearsal.load():
        raise OSError("\n".join(problems))
    loop.add_signal_handler(signal.SIGHUP, rehearsal.reload)
    address: Address = arguments.listen_address
    port = await simulator.start(
        str(address if address.host else replace(address, host="::")),
        front=arguments.fault_file is not None,  # faults of connections may come later
        tls=tls,
    )
    try:
        _announce(accounts, replace(address, port=port), arguments)
        await stop.wait()
    finally:
        await simulator.stop(STOP_WITHIN)


class Rehearsal:
    """What SIGHUP reads again: the fault file, and the certificate."""

    def __init__(
        self, arguments: argparse.Namespace, simulator: Simulator, tls: ssl.SSLContext | None
    ) -> None:
        self._certificate: Path | None = arguments.tls_cert
        self._key: Path | None = arguments.tls_key
        self._tls = tls
        file: Path | None = arguments.fault_file
        self._faults = FaultFile(file, simulator.faults) if file else None

    def load(self) -> list[str]:
        """Return what is wrong with the files, each a line; what is right is in force."""
        problems = [] if self._faults is None else self._faults.load()
        if self._tls is not None and self._certificate is not None:
            try:
                self._tls.load_cert_chain(self._certificate, self._key)
            except OSError as error:
                reason = error.strerror or str(error)
                problems.append(f"{self._certificate}: no certificate with its key: {reason}")
        return problems

    def reload(self) -> None:
        """Read the files again and say on standard error what came of it."""
        problems = self.load()
        for problem in problems:
            _failed(problem, 1)
        if not problems:
            count = len(self._faults) if self._faults is not None else 0
            print(f"viam-billing: read again; faults in the file: {count}", file=sys.stderr)


def _announce(accounts: Sequence[Account], address: Address, arguments: argparse.Namespace) -> None:
    """Give out the configuration, then say on standard error what to do with it."""
    target = reachable(address)
    text = configuration(
        accounts,
        str(target),
        poll_interval=arguments.poll_interval,
        insecure=not target.is_loopback and arguments.tls_cert is None,
        ca_file=str((arguments.tls_ca or arguments.tls_cert or Path()).resolve())
        if arguments.tls_cert
        else "",
    )
    if arguments.config_out is None:
        print(text, end="", flush=True)
        next_step = "save the output as simulated.yml, then run: "
    else:
        _write_private(arguments.config_out, text)
        next_step = "now run: "
    file = arguments.config_out or "simulated.yml"
    print(
        f"simulating {len(accounts)} organizations on {address}; "
        f"{next_step}viam-billing-exporter --config.file={file}",
        file=sys.stderr,
    )


def reachable(address: Address) -> Address:
    """Return where this machine reaches a server that listens on `address`."""
    everywhere = address.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return replace(address, host="127.0.0.1") if everywhere else address


def _write_private(file: str, text: str) -> None:
    """Write a file that only its owner can read, also if others could read it before."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:  # noqa: PTH123
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)


def _failed(message: str, code: int) -> int:
    print(f"viam-billing: {message}", file=sys.stderr)
    return code


# --- Types of arguments -------------------------------------------------------------------


def _listen_address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration(text: str) -> str:
    _seconds(text)
    return text


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def _organizations(text: str) -> int:
    number = _within(text, 1, MOST_ORGANIZATIONS)
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number")
    return int(number)


def _speed(text: str) -> float:
    return _within(text, 0.001, FASTEST)


def _share(text: str) -> float:
    return _within(text, 0, 1)


def _within(text: str, low: float, high: float) -> float:
    error = argparse.ArgumentTypeError(f"{text!r}: must be a number from {low:g} to {high:g}")
    try:
        number = float(text)
    except ValueError:
        raise error from None
    if not low <= number <= high:  # so that NaN is refused, too
        raise error
    return number


if __name__ == "__main__":
    sys.exit(main())
