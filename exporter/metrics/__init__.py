"""From what is known of an organization to its samples and lines.

`catalog` is THE table: a row for each metric and each collector, with extractors from `extract`.
`report` decides what of an organization is current and what is withdrawn. `samples` applies a row,
`render` makes lines of what comes out, and `fragments` keeps those of an answer. `parts` is what
programs get of a bill, and `closed` has the periods that have ended. `cents` rounds what people
see. The exporter's own metrics are rows in `own`, kept by `telemetry`.
"""
