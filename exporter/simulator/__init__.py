"""A simulated Viam billing service: real gRPC, invented companies, no account needed.

`fleet` says who the `accounts` are, `ledger` what they owe at a moment, `messages` puts that
into the API's messages, `pdf_writer` into files, and `service` answers the calls, with `tokens`.
Everything follows from a seed and a `simulated_clock`. `settings` is the exporter's configuration
that fits. `saved` has answers of a real account, to be served instead.

`scenarios` lists the faults that can be injected, `faults` and `fault_file` read what a user asks
for, and `injection` decides which of them hit. `call_faults` and `answer_faults` are those of calls
and of answers; `front` and `relay`, between clients and server, those of connections, with `http2`
and `bad_gateway`. `grpc_server` puts it together.
"""

from exporter.simulator.accounts import Account
from exporter.simulator.fault_file import FaultFile
from exporter.simulator.faults import Fault, FaultError, catalogue
from exporter.simulator.fleet import demo_fleet, fleet
from exporter.simulator.grpc_server import Simulator
from exporter.simulator.injection import Injected
from exporter.simulator.settings import configuration
from exporter.simulator.simulated_clock import SimulatedClock

__all__ = [
    "Account",
    "Fault",
    "FaultError",
    "FaultFile",
    "Injected",
    "SimulatedClock",
    "Simulator",
    "catalogue",
    "configuration",
    "demo_fleet",
    "fleet",
]
