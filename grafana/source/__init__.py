"""The dashboards as code. `make dashboards` writes grafana/dashboards/ from it.

Each `*_dashboard` is one of them. `attention`, `spend_panels`, `days`, `payments`, `headlines`,
`fleet_tables`, `invoice_tables` and `freshness` have panels of theirs. `known` says how old a
number is, or why there is none. `panels`, `charts` and `tables` make panels of one look, `promql`
makes expressions, `money_panels` is what panels about money share. What the rules record is named
in exporter/rules/series.py. `board` adds variables, links and annotations, and `sdk` is Grafana's
own library of builders. `comparison` counts what the dashboards have.
"""
