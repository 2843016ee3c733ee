"""What concerns the process itself.

`logs` on standard error, written by `lines`, `signals` that are heeded, what `notify` tells
systemd, `privileges` that are dropped, `garbage` collected a little at a time, `memory` that is
given back, `version` and `clock`, and whether there is `room` for it.
"""
