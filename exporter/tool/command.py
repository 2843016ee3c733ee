"""The command line of `viam-billing`: a sub-command is a module with `define`, by its name."""

from __future__ import annotations

import argparse
import errno
import io
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from exporter.base.arguments import Parser
from exporter.process.clock import SystemClock
from exporter.process.version import version
from exporter.tool.errors import EXIT_CODES, FAILED, STOPPED, CommandError, complain, discard, say

NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # of the machine's
COMMANDS = {
    "check": "check the configuration and, with --connect, every API key",
    "usage": "show what the current month has cost so far, and its forecast",
    "forecast": "forecast the cost of the month, and show how certain that is",
    "report": "write a month of bills as one file to read, print or send",
    "invoices": "list invoices and what is owed",
    "pdf": "download invoices as PDF files",
    "backfill": "write past invoices and daily spend as OpenMetrics, for promtool",
    "ledger": "copy the ledger of daily spend from one storage folder to another",
    "rules": "write recording rules and alerts for Prometheus",
    "dashboards": "write the Grafana dashboards and provisioning files",
    "runbook": "show what an alert means and what to do",
    "simulate": "run a simulated billing service to try the exporter without an account",
}


def parser(chosen: Collection[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the command line's parser. The documentation is checked against it.

    Only the commands that are chosen have their arguments, for it takes long to load all modules.
    """
    root = Parser(
        prog="viam-billing",
        description="Command-line tools for Viam bills.",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    root.add_argument(
        "--version", action="version", version=version().of(root.prog), help="print the version"
    )
    commands = root.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=name in chosen,
        )
        if name in chosen:
            import_module(f"exporter.tool.{name}").define(command)
    return root


def main(argv: Sequence[str] | None = None, clock: object = None) -> int:
    """Run the sub-command that `argv` names and return its exit code.

    `clock`, a `model.Clock`, decides what is overdue and what is past; by default it is the
    machine's own.
    """
    argv = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):  # as standard error does of its own
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = parser(COMMANDS.keys() & set(argv)).parse_args(argv)
        arguments.clock = clock or SystemClock()
        code: int = arguments.run(arguments)
        print(end="", flush=True)
    except CommandError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:  # before there was anything to stop
        complain(STOPPED)
        return FAILED
    except OSError as error:
        if error.filename is not None or error.errno in NO_ROOM:
            # Nothing that is printed comes to a file that has a name.
            where = "" if error.filename is None else f"{error.filename!a}: "
            complain(f"{where}{error.strerror}")
            return FAILED
        discard()
        if not isinstance(error, BrokenPipeError):  # the reader stopped early, like `head`
            complain(f"standard output: {error.strerror}")
        return FAILED
    return code
