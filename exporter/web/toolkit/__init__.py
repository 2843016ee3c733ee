"""The web configuration file, in the format of Prometheus' exporter-toolkit.

Text becomes the models of the keys (`schema`), is checked with the files that it names
(`rules`, `tls`), and becomes a `WebConfig` (`loader`), which is loaded again when one of the
files changes (`watch`).
"""

from exporter.web.toolkit.loader import WebConfig, load
from exporter.web.toolkit.schema import RateLimit
from exporter.web.toolkit.tls import ServerTls
from exporter.web.toolkit.watch import WebConfigFile

__all__ = ["RateLimit", "ServerTls", "WebConfig", "WebConfigFile", "load"]
