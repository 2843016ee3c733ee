"""What concerns the process itself.

`logs` on standard error, written by `lines`, `signals` that are heeded, what `notify` tells
systemd, `privileges` that are dropped, the `event_loop` and what it does at the end of its turns,
`garbage` collected a little at a time, `memory` that is given back, `version` and `clock`, the
`program` to the byte, and whether there is `room` for it.
"""
