"""`viam-billing rules`: recording rules and alerts, as files for Prometheus and Alertmanager."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Final

import yaml

from exporter.base import files
from exporter.config import ConfigError
from exporter.rules import rule_files
from exporter.rules.alert import Links
from exporter.rules.rule_settings import load
from exporter.tool import arguments as declare
from exporter.tool.errors import DONE, EXIT_CODES, CommandError
from exporter.tool.folder import PUBLIC, prepared
from exporter.tool.output import printable
from exporter.tool.placed import put

ALERTMANAGER: Final = "alertmanager"  # a folder of its own: its files are no rules
# Without a fragment, which comes of the alert's name; braces would be a template.
_URL: Final = re.compile(r"https?://[\w.:\[\]-]+(?:[/?][\w.~:/?@!$&()*+,;=%-]*)?", re.ASCII)
DESCRIPTION: Final = """\
Writes recording rules and alerts for Prometheus 2.42 or newer to a folder, as
viam-billing.rules.yml and viam-billing.alerts.yml. Needs no configuration, key or network. The
rules belong to this version: run the command again after an upgrade, with the same flags, to
replace them.
"""
EPILOG: Final = f"""\
The settings file contains only what differs from the defaults, for example:
  thresholds:
    due_soon: 7d
  alerts:
    ViamBillingBudgetUsed: {{severity: critical}}

{EXIT_CODES}
"""

SCRAPE: Final = """\
scrape_configs:
  - job_name: viam-billing
    scrape_interval: 1m
    static_configs:
      - targets: ["localhost:8426"] # the exporter
"""


def define(command: argparse.ArgumentParser) -> None:
    """Say what the command does, and what it is told."""
    declare.describe(command, _rules, DESCRIPTION, EPILOG)
    declare.add_dest(command, "rules")
    command.add_argument(
        "--settings",
        metavar="FILE",
        type=files.path_argument,
        help="YAML file with the thresholds, times and severities to change",
    )
    command.add_argument(
        "--runbooks",
        metavar="URL",
        type=_page,
        help="URL of the runbook, for links in alerts (default: empty, no links)",
    )
    command.add_argument(
        "--dashboards",
        metavar="URL",
        type=declare.base_url,
        help="URL of Grafana, for links in alerts (default: empty, no links)",
    )
    command.add_argument(
        "--alertmanager",
        action="store_true",
        help=f"also write an Alertmanager configuration to {ALERTMANAGER}/ in that folder, for you "
        "to add your receivers to; an existing one that differs is left alone",
    )


def _page(text: str) -> str | None:
    if not text:
        return None
    if not _URL.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "must be http:// or https:// with a host, in ASCII, without a user and without #"
        )
    return text


def _rules(arguments: argparse.Namespace) -> int:
    links = Links(arguments.runbooks, arguments.dashboards)
    try:
        made = rule_files.files(load(arguments.settings), links)
    except ConfigError as error:
        raise CommandError(str(error), prefix="") from error
    with prepared(arguments.dest, PUBLIC) as folder:
        for name, text in made.items():
            put(arguments.dest, folder, [name], text)
        if arguments.alertmanager:
            own = (arguments.dest / ALERTMANAGER).absolute()
            for name, text in rule_files.alertmanager(own).items():
                put(arguments.dest, folder, [ALERTMANAGER, *name.split("/")], text, edited=True)
    for line in _advice(arguments, links):
        print(line)
    return DONE


def _advice(arguments: argparse.Namespace, links: Links) -> Iterator[str]:
    """Yield what is left to do."""
    yield ""
    if links.runbooks is None:
        yield "Alerts do not link to the runbook: set its address with --runbooks."
    if links.dashboards is None:
        yield "Alerts do not link to dashboards: set Grafana's address with --dashboards."
    if arguments.alertmanager:
        yield "Enter your receivers in alertmanager.yml, put each secret into the file it names,"
        yield "readable by Alertmanager only, and check it with amtool check-config."
    yield "Add to prometheus.yml, check it with promtool check config, and reload Prometheus:"
    yield ""
    pattern = str(arguments.dest.absolute() / "viam-billing.*.yml")
    yield "rule_files:"
    yield f"  {printable(yaml.safe_dump([pattern], allow_unicode=True, width=10_000).rstrip())}"
    yield from SCRAPE.splitlines()
