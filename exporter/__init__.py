"""Prometheus exporter for Viam bills."""

import os

# The core of gRPC prints to standard error by itself: not as our log does, and in words that may be
# a server's. It reads this once, when it is imported, and has no other way to be told.
os.environ["GRPC_VERBOSITY"] = "NONE"
