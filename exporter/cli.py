"""The daemon's command: arguments and environment become a configuration and an exit code."""

from __future__ import annotations

import argparse
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from exporter import app, flags
from exporter.api.route import route_to
from exporter.base.address import Address
from exporter.base.file_threads import within
from exporter.config import DEFAULT_FILE, Config, ConfigError, find
from exporter.daemon import LOAD_DEADLINE, LOADING_HANGS, Options, StartError
from exporter.metrics.catalog import LABEL_NAMES
from exporter.polling.sharding import Shard, choose
from exporter.process import event_loop, logs, memory, notify, privileges, room
from exporter.process.event_loop import Turns
from exporter.process.lines import Lines
from exporter.process.version import DISTRIBUTION, Version, version
from exporter.web.flags import METRICS_PATH
from exporter.web.hosts import machine_names
from exporter.web.serving import WebOptions, web_options

log = structlog.get_logger(__name__)

OPEN_FILES: Final = 8192


def configuration(
    file: Path | None, environ: Mapping[str, str], *, storage: bool, shards: int
) -> Config:
    """Return the whole configuration from the file, or without one from the environment.

    `storage` says whether there is some, `shards` how many exporters share it. Raises
    ConfigError, and StartError if nothing says what to poll.
    """
    config = find(file, environ, LABEL_NAMES, storage=storage, shards=shards)
    if config is None:
        raise StartError(
            #: A service does not run in your working directory: name the file.
            "nothing to poll: give a configuration with --config.file, or set VIAM_API_KEY_ID and "
            "VIAM_API_KEY, or try it out with --demo"
        )
    route_to(config.api, environ)  # what connecting would complain about
    return config


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    return run(flags.parsed(argv))


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon as its flags say, and return its exit code."""
    shard = _shard(arguments)
    running = version()
    lines = logs.configure(arguments.log_level, arguments.log_format)
    logs.take_what_python_prints()
    privileges.start_without_tracing(os.environ)
    privileges.leave_no_core_dump()
    memory.give_back()
    if shard.total > 1:
        log.info("polling one shard only", shard=shard.ordinal, total_shards=shard.total)
    try:
        _run(arguments, running, shard, lines)
    except ConfigError as error:
        lines.put(str(error))
        return 1
    except (StartError, room.NoRoomError) as error:
        lines.put(f"{DISTRIBUTION}: {error}")
        return 1
    return 0


def _shard(arguments: argparse.Namespace) -> Shard:
    try:
        return choose(
            arguments.shard,
            arguments.total_shards,
            pod_name=os.environ.get("POD_NAME", "").strip(),
            host_name=socket.gethostname(),
        )
    except ValueError as error:
        flags.parser().error(str(error))


def _run(arguments: argparse.Namespace, running: Version, shard: Shard, lines: Lines) -> None:
    """Check the configuration, or serve until told to stop. Raises what `main` tells of."""
    if not arguments.config_check:
        _allow_open_files()
        room.require()
    if arguments.demo:
        web, turns = _web_options(arguments), Turns()
        event_loop.run(_demo(arguments, running, shard, web, lines, turns), turns)
        return

    def load_again() -> Config:
        storage = arguments.storage_path is not None
        return configuration(arguments.config_file, os.environ, storage=storage, shards=shard.total)

    try:
        config, web = within(
            LOAD_DEADLINE, lambda: _both(load_again, lambda: _web_options(arguments), lines)
        )
    except TimeoutError as error:
        raise StartError(LOADING_HANGS) from error
    if arguments.config_check:
        print(f"the configuration is valid: {config.extent}", flush=True)
        for doubt in config.doubts:
            lines.put(f"{DISTRIBUTION}: {doubt}")
        return
    reader = privileges.Reader.current(os.environ)
    privileges.warn(config, arguments.config_file or DEFAULT_FILE, reader)
    for doubt in config.doubts:
        log.warning(doubt)
    options = _options(arguments, running, shard, load_again, web, lines, Turns())
    event_loop.run(_serve(config, options), options.turns)


def _allow_open_files() -> int:
    """Allow as many open files as we may, for connections are files. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def _both(
    load_config: Callable[[], Config], load_web: Callable[[], WebOptions], lines: Lines
) -> tuple[Config, WebOptions]:
    """Return both configurations. What is wrong with either is shown before it ends."""
    try:
        config = load_config()
    except ConfigError:
        try:
            load_web()
        except ConfigError as error:
            lines.put(str(error))
        raise
    return config, load_web()


def _web_options(arguments: argparse.Namespace) -> WebOptions:
    # Where it listens is a name of this machine, too.
    names = {*machine_names(socket.gethostname()), *(each.host for each in arguments.listen or ())}
    try:
        return web_options(arguments, os.environ, os.getpid(), _allow_open_files(), names)
    except ValueError as error:
        raise StartError(str(error)) from error


def _options(  # noqa: PLR0913 - what the command line says, and what it needs
    arguments: argparse.Namespace,
    running: Version,
    shard: Shard,
    load_again: Callable[[], Config],
    web: WebOptions,
    lines: Lines,
    turns: Turns,
) -> Options:
    return Options(
        listen=arguments.listen or [Address.parse(flags.DEFAULT_ADDRESS)],
        telemetry_path=arguments.telemetry_path or METRICS_PATH,
        version=running,
        storage_path=arguments.storage_path,
        load=load_again,
        web=web,
        shard=shard,
        manager=notify.from_systemd(os.environ, os.getpid()),
        count_dropped_lines=lines.count_dropped,
        turns=turns,
        is_demo=arguments.demo,
    )


async def _serve(config: Config, options: Options) -> None:
    await app.run(
        config,
        options,
        lambda addresses, organizations: log.info(
            "serving",
            version=options.version.number,
            addresses=",".join(addresses),
            organizations=organizations,
        ),
    )


async def _demo(  # noqa: PLR0913 - as of `_options`
    arguments: argparse.Namespace,
    running: Version,
    shard: Shard,
    web: WebOptions,
    lines: Lines,
    turns: Turns,
) -> None:
    from exporter import demo  # noqa: PLC0415 - with the simulator, which nothing else needs

    async with demo.simulated_service() as config:
        options = _options(arguments, running, shard, lambda: config, web, lines, turns)
        scheme = "http" if web.configuration().tls is None else "https"
        prefix = web.location.prefix

        def announce(addresses: Sequence[str], organizations: int) -> None:
            host = f"{scheme}://localhost:{addresses[0].rpartition(':')[2]}{prefix}"
            plural = "" if organizations == 1 else "s"
            Lines(None if sys.stdout is None else sys.stdout.fileno()).put(
                f"{running}: serving simulated bills for {organizations} organization{plural}\n"
                f"  {host + '/':<34}status\n"
                f"  {host + options.telemetry_path:<34}metrics, for Prometheus to scrape\n"
                "Stop with Ctrl-C."
            )

        await app.run(config, options, announce)


if __name__ == "__main__":
    sys.exit(main())
