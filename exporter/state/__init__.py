"""What is known now, and what of it survives a restart.

`store` holds what is known of each organization; `spend` counts across periods, and `history` is
how the last polls ended. `storage` is the file that survives, and `saver` keeps it in step with the
store. `budget` is the daily ceiling on requests, which holds across restarts.
"""
