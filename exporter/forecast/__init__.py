"""Pure: from days of the ledger to where the billing period will end, and what a day should cost.

`ahead` is what others call: with each good answer, it makes the forecast from what is expected of
the days ahead. `forecast` makes that once a day. `history` has the days and where in their periods
they are; `patterns` tells apart fees that come back, credits and changes of level; `methods` are
simple ways to say what days ahead will cost; `record` knows how wrong each was, which decides how
much it counts and how far apart the bounds are. `expectation` says above which amount a day is a
spike, `by_resource` what each resource type should cost, and `spikes` which of them made one.
`outlook` is what comes of these, and `kept` has its bytes. docs/adr/0019 has the reasons.
"""
