"""The configuration: a YAML file, or the environment, made into a frozen `Config`.

Text becomes nodes (`yaml_nodes`), nodes become the sections of the `schema` (by way of `fields`;
`sections` says what those are, `values` has the rules of single values, `duration` those of
durations, `certificates` those of files with authorities), and the sections, checked against each
other (`cross_checks`), become a `Config` (`loader`, `effective`). `origin` chooses between a file
and the `environment`; `problem` is what is wrong with either, and `keys` is the reference for the
documents. Nothing here reads the process environment or the clock, and no error shows a secret.
"""

from exporter.config.certificates import certificates, read_certificates
from exporter.config.duration import format_duration, parse_duration
from exporter.config.effective import Config, effective, fingerprint
from exporter.config.environment import from_environment
from exporter.config.keys import Key, keys
from exporter.config.loader import load
from exporter.config.origin import DEFAULT_FILE, find
from exporter.config.problem import ConfigError, Problem
from exporter.config.schema import (
    ApiConfig,
    CollectorsConfig,
    DiscoveryConfig,
    InvoicesConfig,
    LimitsConfig,
    PollConfig,
)
from exporter.config.values import matcher, read_key_file

__all__ = [
    "DEFAULT_FILE",
    "ApiConfig",
    "CollectorsConfig",
    "Config",
    "ConfigError",
    "DiscoveryConfig",
    "InvoicesConfig",
    "Key",
    "LimitsConfig",
    "PollConfig",
    "Problem",
    "certificates",
    "effective",
    "find",
    "fingerprint",
    "format_duration",
    "from_environment",
    "keys",
    "load",
    "matcher",
    "parse_duration",
    "read_certificates",
    "read_key_file",
]
