"""What concerns the process itself.

`logs` on standard error, what `notify` tells systemd, `privileges` that are dropped, `garbage`
collected a little at a time, `reloads` of the configuration, `version` and `clock`.
"""
