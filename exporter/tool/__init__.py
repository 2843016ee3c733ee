"""The `viam-billing` command: for people, beside the daemon.

`command` puts the sub-commands together, a module each, and loads only what is asked for: a command
should answer at once. They are `check` (with `saved_answers`, `disguise` and `scale`), `usage`
(with `usage_lines`, `usage_table`, `usage_parts` and `focus`), `forecast` (with `forecasts`,
`history_file`, `replay`, `backtest` and `spikes`), `report`, which is a folder, `invoices`, `pdf`
(with `download`, `folder`, `file_names` and `progress`), `backfill` (with `past_invoices` and
`past_days`), `ledger`, `rules` and `dashboards` (with `placed`), `runbook` and `simulate`.

Those that read bills do it by way of `bills`, with the configuration, the client and the extractors
of the exporter. Those that need the ledger get it from `ledger_sources`: from running `exporters`,
which `exporter_flags` name, `api_answers` understand and a `fleet` joins; or from what is `stored`.
`parts` is what a bill is made of, for `usage` and `report`. `outcomes` is what came of asking,
`output` how it is shown, and `widths` how wide. `arguments`, `times`, `errors` and
`room` are what all of them share.
"""

from exporter.tool.command import main, parser

__all__ = ["main", "parser"]
