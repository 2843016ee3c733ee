"""The billing API's name points elsewhere while the exporter runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exporter.simulator import demo_fleet
from support.process import EXPORTER, TOOL, Exporter, free_port, parse, running, until

NAME = "billing.example"
ACCOUNT = demo_fleet(1)[0]
# gRPC asks for a name again at most every 30 seconds.
PATIENCE = 90.0
# In a namespace of its own, so that nobody else on the machine sees the names.
WITH_NAMES = ("unshare", "--map-root-user", "--mount", "sh", "-c")
PROGRAM = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def up(it: Exporter) -> float | None:
    """Return what the page says of the only organization."""
    page = parse(it.scrape())
    return next((value for (name, _), value in page.items() if name == "viam_billing_up"), None)


@pytest.mark.timeout(300)
def test_a_change_in_dns_is_followed_without_a_restart(tmp_path: Path) -> None:
    """The old server is gone, and the name leads to another: an outage, then all is well."""
    names, config = tmp_path / "hosts", tmp_path / "exporter.yml"
    names.write_text(f"127.0.0.2 {NAME}\n")
    port = free_port()
    document = {
        "api": {"address": f"{NAME}:{port}", "tls": False, "insecure": True, "timeout": "2s"},
        "poll": {"interval": "1s"},
        "organizations": [
            {
                "id": ACCOUNT.id,
                "name": ACCOUNT.name,
                "credentials": {"api_key_id": ACCOUNT.api_key_id, "api_key": ACCOUNT.api_key},
            }
        ],
    }
    config.touch(0o600)
    config.write_text(yaml.safe_dump(document))
    arguments = ("--web.listen-address=127.0.0.1:0", f"--config.file={config}")
    with running(*WITH_NAMES, PROGRAM, "sh", names, *EXPORTER, *arguments) as process:
        it = Exporter(process, int(process.stderr.wait_for(r"addresses=127\.0\.0\.1:(\d+)")[1]))
        for host in ("127.0.0.2", "127.0.0.3"):
            names.write_text(f"{host} {NAME}\n")
            simulator = (*TOOL, "simulate", f"--listen-address={host}:{port}")
            with running(*simulator, "--seed=1"):
                until(lambda: up(it) == 1.0, f"polls reach {host}", PATIENCE)
            until(lambda: up(it) == 0.0, f"polls miss {host}")
            assert 'cause="outage"' in it.scrape()
