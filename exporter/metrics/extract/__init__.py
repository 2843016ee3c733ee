"""Pure functions from the billing API's messages to samples, a module for each of its calls.

`organization` has those of what is known beside the bill, `days` those of the ledger, `values` what
several of them need.

In two steps. A *view* says what an answer means, with the API's traps removed: open enums,
the deprecated shape, absent messages, zero times of other languages, free text. The
*extractors* below each view turn it into the samples of one metric and are referred to by
the rows of the catalog.
"""
