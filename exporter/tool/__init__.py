"""The `viam-billing` command: for people, beside the daemon.

`command` puts the sub-commands together, a module each, and loads only what is asked for: a command
should answer at once. Those that read bills do it by way of `bills`, with the configuration, the
client and the extractors of the exporter; `output` is how they show them. `simulate` needs none of
that.
"""

from exporter.tool.command import main, parser

__all__ = ["main", "parser"]
