"""The web configuration file, in the format of Prometheus' exporter-toolkit.

Text becomes the models of the keys (`web_schema`), is checked with the files that it names
(`web_rules`, `tls`), and becomes a `WebConfig` (`web_config`), which is loaded again when one of
the files changes (`watch`).
"""

from exporter.web.toolkit.tls import ServerTls, UnreadableCertificateError
from exporter.web.toolkit.watch import WebConfigFile
from exporter.web.toolkit.web_config import WebConfig, load
from exporter.web.toolkit.web_schema import RateLimit

__all__ = [
    "RateLimit",
    "ServerTls",
    "UnreadableCertificateError",
    "WebConfig",
    "WebConfigFile",
    "load",
]
