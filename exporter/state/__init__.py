"""What is known now, and what of it survives a restart.

`store` holds what is known of each organization. `spend` counts across periods; `ledger` says what
was spent on which day, `day_rows` is how a day is kept, `archive` reads all that are, and `listing`
is how programs get them. `history` is how the last polls ended, and `messages` keeps long answers
small. `storage` is the file that survives, `place` the folder it is in, `schema` its tables and
`rows` what they have; `saver` keeps it in step with the store. For commands, `copies` reads a
storage, and `carried` takes days from one to another. `budget` is the daily ceiling on requests,
which holds across restarts.
"""
