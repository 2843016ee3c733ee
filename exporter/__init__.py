"""Prometheus exporter for Viam bills."""

import os

__version__ = "0.1.0"  # generated: to ask the installed package takes as long as all else

# What libraries read from the environment by themselves when they are imported. gRPC's core prints
# to standard error, not as our log does and in words that may be a server's, and ends the process
# for some values. A log of TLS keys would let others decrypt the traffic to the API.
KEPT = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "GRPC_TRACE"}  # read, or warned of, by ourselves
for _name in [*os.environ]:
    if (_name.startswith("GRPC_") and _name not in KEPT) or _name == "SSLKEYLOGFILE":
        del os.environ[_name]
os.environ["GRPC_VERBOSITY"] = "NONE"
