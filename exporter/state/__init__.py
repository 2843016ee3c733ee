"""What is known now, and what of it survives a restart.

`store` holds what is known of each organization. `spend` counts across periods; `ledger` says what
was spent on which day, `day_rows` is how a day is kept, `archive` reads all that are, and `listing`
is how programs get them. `history` is how the last polls ended, and `messages` keeps long answers
small. `storage` is what survives, `saver` keeps it in step with the store. Below it, `database` is
the file and `place` the folder it is in, `schema` has its tables, `queries` what is asked of them,
`rows` what they have, `readings` what was made of answers, and `writes` what is to be written;
`salvage` takes over what can be read of a damaged one. For commands, `copies` reads a storage, and
`carried` takes days from one to another. `budget` is the daily ceiling on requests, which holds
across restarts.
"""
