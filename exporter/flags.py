"""The daemon's flags: all that `--help` and `--version` load.

So nothing here imports `typing`, `pathlib` or `dataclasses`: each takes a third of the time that
Python takes to start, or more.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from exporter.base.arguments import CONFIGURATION, Parser, parsed_by
from exporter.process.version import DISTRIBUTION, version
from exporter.web import flags

DEFAULT_ADDRESS = ":8426"
LOG_FORMATS = ("logfmt", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_SHARDS = 1000

DESCRIPTION = """\
Polls the Viam billing API for the organizations in its configuration and serves usage,
cost, balance and invoices as Prometheus metrics.
"""
EPILOG = """\
There are three ways to configure what is polled:
  a configuration file    --config.file=exporter.yml
  the environment         VIAM_API_KEY_ID, and VIAM_API_KEY or VIAM_API_KEY_FILE; VIAM_ORG_ID
                          limits it to the organizations named there
  no configuration        --demo, which polls a simulated billing service

Signals: SIGHUP reloads the configuration; SIGTERM and SIGINT stop the exporter.
Exit codes: 0 done, 1 failed, 2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser. The documentation is checked against it."""
    root = Parser(
        prog=DISTRIBUTION,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    root.add_argument(
        "--config.file",
        dest="config_file",
        metavar="FILE",
        type=parsed_by("exporter.base.files:path_argument"),
        help=f"configuration file (default: {CONFIGURATION}, if it exists)",
    )
    root.add_argument(
        "--config.check",
        dest="config_check",
        action="store_true",
        help="check the configuration, report every error, and exit with 0 or 1",
    )
    root.add_argument(
        "--web.listen-address",
        dest="listen",
        metavar="ADDRESS",
        type=parsed_by("exporter.base.address:Address.parse"),
        action="append",
        help="address to listen on: host:port, [v6]:port, or :port for all interfaces; repeatable "
        f"(default: {DEFAULT_ADDRESS})",
    )
    flags.add(root)
    root.add_argument(
        "--storage.path",
        dest="storage_path",
        metavar="DIR",
        type=parsed_by("exporter.base.files:optional_path_argument"),
        help="folder that keeps the last good data, the spend counters and the ledger across "
        "restarts; no other exporter may use it (default: empty, nothing is kept)",
    )
    root.add_argument(
        "--total-shards",
        dest="total_shards",
        metavar="N",
        type=_whole_number(1, MAX_SHARDS),
        default=1,
        help="number of exporters that share the organizations in the configuration (default: "
        "%(default)s)",
    )
    root.add_argument(
        "--shard",
        metavar="N",
        type=_whole_number(0, MAX_SHARDS - 1),
        help="number of this shard, counting from 0 (default: the number at the end of POD_NAME "
        "or, if that is not set, of the host name, as a StatefulSet numbers its pods)",
    )
    root.add_argument(
        "--log.level",
        dest="log_level",
        choices=LOG_LEVELS,
        default="info",
        help="minimum level to log (default: %(default)s)",
    )
    root.add_argument(
        "--log.format",
        dest="log_format",
        choices=LOG_FORMATS,
        default="logfmt",
        help="log format; logs go to standard error (default: %(default)s)",
    )
    root.add_argument(
        "--demo",
        action="store_true",
        help="poll a simulated billing service inside this process; needs no configuration and no "
        "account",
    )
    root.add_argument(
        "--version", action="version", version=str(version()), help="print the version"
    )
    root.add_argument("-h", "--help", action="help", help="print this help")
    return root


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parsed(text: str) -> int:
        if not (re.fullmatch("[0-9]{1,9}", text) and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parsed


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a command line. Raises SystemExit for wrong usage."""
    command_line = parser()
    arguments = command_line.parse_args(argv)
    if arguments.listen and arguments.systemd_socket:
        #: With a `.socket` unit, the address belongs in `ListenStream=`.
        command_line.error("--web.listen-address and --web.systemd-socket cannot be used together")
    if arguments.demo and arguments.config_check:
        command_line.error("--demo has no configuration to check")
    return arguments
