"""`viam-billing report`: a month of bills as one document.

`command` has the flags, reads and writes. `periods` says which billing period a month is, and
`months` puts together what is known of it: its `days`, what it was `made_of`, and how it
`compares` with the month before. `asked` has what the billing API itself says, where there is no
ledger. `pages` makes HTML of it, with `invoice_tables`, the `problems` and `sums` of several
organizations, and what is at the edges of printed `sheets`. `programs` makes JSON and CSV.
"""

from exporter.tool.report.command import define

__all__ = ["define"]
