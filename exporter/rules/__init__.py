"""Rules for Prometheus: recorded series, and alerts on them, made from settings.

`rule_files` puts them together, and has the files in alertmanager/, which are for Alertmanager.
`rule_settings` reads what rules are made with: settings.yml, and what a file of the user's changes
of it. `series` has the names of what is recorded; `recording`, `exporters`, `readings`,
`remembered` and `staleness` how. `alerts_on_exporters`, `alerts_on_polls`, `alerts_on_money` and
`alerts_on_spend` have the alerts, which `alert` gives their texts. `expressions` are what many of
them are made of, and `rule` is what ends up in a file. `runbook` has what to do about each alert.

Nothing that polls imports this room: it brings a parser of PromQL along.
"""
