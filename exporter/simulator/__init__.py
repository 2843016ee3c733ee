"""A simulated Viam billing service: real gRPC, invented companies, no account needed.

`fleet` says who the accounts are, `ledger` what they owe at a moment, `answers` puts that into
the API's messages, and `server` speaks gRPC. Everything follows from a seed and a clock.
"""

from exporter.simulator.accounts import Account
from exporter.simulator.clock import SimulatedClock
from exporter.simulator.fleet import demo_fleet, fleet
from exporter.simulator.server import Simulator
from exporter.simulator.settings import configuration

__all__ = ["Account", "SimulatedClock", "Simulator", "configuration", "demo_fleet", "fleet"]
