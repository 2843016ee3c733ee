"""`viam-billing simulate`: the simulated billing service on a port of its own."""

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
from typing import Final

from exporter.base.address import Address
from exporter.base.files import path_argument, require_regular
from exporter.process import signals
from exporter.process.clock import SystemClock
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
from exporter.simulator.saved import SavedAnswers, SavedAnswersError, load
from exporter.tool import room
from exporter.tool.arguments import address, describe, duration, seconds, within
from exporter.tool.errors import DONE, EXIT_CODES, WRONG_USAGE, CommandError, complain
from exporter.tool.output import printable

SIMULATE: Final = """\
Runs a simulated Viam billing service: real gRPC, invented companies, no account, no internet.
Prints an exporter configuration for it and serves until interrupted.
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
Keys limit what a fault applies to: method=RPC, organization=ID or number from 1, share=0..1 of the
calls, every=N (every n-th call), times=N (at most), from=DURATION and until=DURATION since the
start. Connection faults take no method and no organization; `refuse` takes only from and until.
SIGHUP reloads the fault file and the certificate.

{catalogue()}
"""
FASTEST: Final = 100_000.0  # a month in 26 s; much faster, and the calendar ends within days
MOST_ORGANIZATIONS: Final = 100_000
STOP_WITHIN: Final = 1.0  # seconds that calls under way have to end


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    describe(command, _simulate, SIMULATE, SIMULATE_EXAMPLE)
    command.add_argument(
        "--listen-address",
        metavar="ADDRESS",
        type=address,
        default="127.0.0.1:8427",
        help="address to listen on: host:port or [v6]:port; port 0 picks a free one (default: "
        "%(default)s)",
    )
    command.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow an address that other machines can reach; unencrypted unless --tls-cert is "
        "given",
    )
    command.add_argument(
        "--organizations",
        metavar="N",
        type=_organizations,
        help="generate this many organizations (default: eight, each with a story, such as a "
        "used-up budget, a declined card or a credit)",
    )
    command.add_argument(
        "--answers",
        metavar="DIR",
        type=path_argument,
        help="serve the answers that `viam-billing check --save-answers` wrote to this folder, "
        "instead of invented companies",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=1,
        help="seed for ids, keys and costs; the same seed gives the same values (default: "
        "%(default)s)",
    )
    command.add_argument(
        "--speed",
        metavar="FACTOR",
        type=_speed,
        default=1.0,
        help="how much faster than real time to run; at 8640 a month takes five minutes (default: "
        "%(default)g)",
    )
    command.add_argument(
        "--latency",
        metavar="DURATION",
        type=seconds,
        default=0.0,
        help="delay before each answer (default: none)",
    )
    command.add_argument(
        "--error-rate",
        metavar="SHARE",
        type=_share,
        default=0.0,
        help="share of calls that fail, 0 to 1, as in an outage (default: %(default)g)",
    )
    command.add_argument(
        "--token-lifetime",
        metavar="DURATION",
        type=seconds,
        help="lifetime of access tokens (default: unlimited)",
    )
    command.add_argument(
        "--fault",
        metavar="FAULT",
        action="append",
        default=[],
        help="fault to inject: NAME[:KEY=VALUE,...], see below; repeatable",
    )
    command.add_argument(
        "--fault-file",
        metavar="FILE",
        type=path_argument,
        help="file of faults to inject, one per line, # for comments; reloaded on SIGHUP",
    )
    command.add_argument(
        "--tls-cert",
        metavar="FILE",
        type=path_argument,
        help="certificate to serve TLS with, PEM (default: no encryption)",
    )
    command.add_argument(
        "--tls-key",
        metavar="FILE",
        type=path_argument,
        help="key of the certificate, PEM (default: in the certificate's file)",
    )
    command.add_argument(
        "--tls-ca",
        metavar="FILE",
        type=path_argument,
        help="authorities that the printed configuration trusts, PEM (default: the certificate "
        "itself)",
    )
    command.add_argument(
        "--poll-interval",
        metavar="DURATION",
        type=duration,
        default="15s",
        help="poll interval in the printed configuration (default: %(default)s)",
    )
    command.add_argument(
        "--config-out",
        metavar="FILE",
        type=path_argument,
        help="write the configuration to this file, readable only by you, instead of to standard "
        "output",
    )


def _simulate(arguments: argparse.Namespace) -> int:
    where: Address = arguments.listen_address
    if not (where.is_loopback or arguments.allow_remote):
        raise CommandError(
            f"other machines could reach {where}: listen on 127.0.0.1, or use --allow-remote",
            WRONG_USAGE,
        )
    if arguments.tls_cert is None and (arguments.tls_key or arguments.tls_ca):
        raise CommandError("--tls-key and --tls-ca need --tls-cert", WRONG_USAGE)
    if arguments.answers is not None and arguments.organizations is not None:
        raise CommandError("use either --answers or --organizations, not both", WRONG_USAGE)
    room.require()
    try:
        asyncio.run(_serve(arguments))
    except SavedAnswersError as error:
        raise CommandError(f"--answers: {printable(str(error))}") from error
    except FaultError as error:
        raise CommandError(f"--fault: {error}", WRONG_USAGE) from error
    except OSError as error:
        raise CommandError(str(error)) from error
    return DONE


async def _serve(arguments: argparse.Namespace) -> None:
    """Simulate until SIGINT or SIGTERM.

    Raises FaultError for a --fault, SavedAnswersError for --answers, and OSError if it cannot
    listen, read or write.
    """
    stop = asyncio.Event()
    accounts, answers = _accounts(arguments)
    simulator = Simulator(
        accounts,
        SimulatedClock(SystemClock(), arguments.speed),
        rng=Random(arguments.seed),  # noqa: S311 - its tokens guard nothing
        latency=arguments.latency,
        error_rate=arguments.error_rate,
        token_lifetime=arguments.token_lifetime,
    )
    simulator.answers.update(answers)
    for fault in arguments.fault:
        simulator.inject(fault)
    tls = (
        None if arguments.tls_cert is None else ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    )
    files = ReloadedFiles(arguments, simulator, tls)
    if problems := await asyncio.to_thread(files.load):
        raise OSError("\n".join(problems))
    where: Address = arguments.listen_address
    port = await simulator.start(
        str(where if where.host else replace(where, host="::")),
        front=arguments.fault_file is not None,  # faults of connections may come later
        tls=tls,
    )
    handlers = {signal.SIGINT: stop.set, signal.SIGTERM: stop.set, signal.SIGHUP: files.reload}
    with signals.heeded(handlers):
        try:
            _announce(accounts, replace(where, port=port), arguments)
            await stop.wait()
        finally:
            await simulator.stop(STOP_WITHIN)


def _accounts(arguments: argparse.Namespace) -> SavedAnswers:
    """Return who is simulated, and what is answered whatever they are like."""
    if arguments.answers is not None:
        return load(arguments.answers, Random(arguments.seed))  # noqa: S311 - guards nothing
    if arguments.organizations is not None:
        return SavedAnswers(fleet(arguments.organizations, arguments.seed), {})
    return SavedAnswers(demo_fleet(arguments.seed), {})


class ReloadedFiles:
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
                for path in filter(None, (self._certificate, self._key)):
                    require_regular(path)
                self._tls.load_cert_chain(self._certificate, self._key, password=_no_password)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                problems.append(f"{self._certificate}: no certificate with its key: {reason}")
        return problems

    def reload(self) -> None:
        """Read the files again and say on standard error what came of it."""
        problems = self.load()
        for problem in problems:
            complain(problem)
        if not problems:
            count = len(self._faults) if self._faults is not None else 0
            print(f"viam-billing: fault file reloaded; faults: {count}", file=sys.stderr)


def _no_password() -> str:
    """Keep OpenSSL from asking at the terminal, where nothing else would go on meanwhile."""
    raise ValueError("the key must not be encrypted: there is no way to ask for a password")


def _announce(accounts: Sequence[Account], where: Address, arguments: argparse.Namespace) -> None:
    """Give out the configuration, then say on standard error what to do with it."""
    target = reachable(where)
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
        f"simulating {len(accounts)} organizations on {where}; "
        f"{next_step}viam-billing-exporter --config.file={file}",
        file=sys.stderr,
    )


def reachable(where: Address) -> Address:
    """Return where this machine reaches a server that listens there."""
    everywhere = where.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return replace(where, host="127.0.0.1") if everywhere else where


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, also if others could read it before."""
    # Opening must not wait, as for a FIFO that nobody reads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
    with open(os.open(file, flags, 0o600), "wb") as stream:  # noqa: PTH123
        os.set_blocking(stream.fileno(), True)
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text.encode())


# --- Types of arguments -------------------------------------------------------------------


def _organizations(text: str) -> int:
    number = within(text, 1, MOST_ORGANIZATIONS)
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number")
    return int(number)


def _speed(text: str) -> float:
    return within(text, 0.001, FASTEST)


def _share(text: str) -> float:
    return within(text, 0, 1)
