"""The machine's own clocks: for the entry points, which hand them to everything else."""

import time


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
