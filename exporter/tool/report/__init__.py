"""`viam-billing report`: a month of bills as one document.

`command` has the flags, reads and writes. `asked` has what the billing API itself says, where there
is no ledger. `periods` says which billing period a month is, and `months` puts together what is
known of it: its `days` and their `credits`, what it was `made_of`, how it `compares` with the month
before, and the `past_months`. `problems` are what is wrong with it.

`pages` makes HTML of it, with a `glossary`, `invoice_tables`, the `sums` of several organizations,
and what is at the edges of printed `sheets`. `programs` makes JSON and CSV.
"""

from exporter.tool.report.command import define

__all__ = ["define"]
