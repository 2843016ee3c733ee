"""Discovery against a server that Viam's own SDK was made for."""

from __future__ import annotations

import json
from pathlib import Path

from peer.bills import BILLS, KEYS
from support.process import PEER_PYTHON, ROOT, exporter, parse, running

SERVER = ROOT / "tests" / "peer" / "sdk_server.py"


def test_what_each_key_reads_is_found_by_name_and_polled(tmp_path: Path) -> None:
    """One organization is listed for each key but the first; the others come from the server."""
    names = {bill.id: f"Name of {number}" for number, bill in enumerate(BILLS)}
    organizations = {
        bill.id: {
            "key_id": bill.key_id,
            "name": names[bill.id],
            "usage": bill.usage,
            "billing_information": bill.billing_information,
            "invoices": bill.invoices,
        }
        for bill in BILLS
    }
    file = tmp_path / "bills.json"
    file.write_text(json.dumps({"keys": KEYS, "organizations": organizations}))
    first, *others = [{"api_key_id": key_id, "api_key": KEYS[key_id]} for key_id in KEYS]
    by_key = {bill.key_id: bill.id for bill in BILLS}
    listed = {by_key[key["api_key_id"]]: key for key in others}
    with running(PEER_PYTHON, SERVER, file) as server:
        port = server.stdout.wait_for(r"^ready (\d+)$")[1]
        settings = {
            "api": {"address": f"127.0.0.1:{port}", "tls": False},
            "credentials": first,
            "organizations": [{"id": each, "credentials": key} for each, key in listed.items()],
            "discovery": {"enabled": True},
        }
        (tmp_path / "exporter.yml").write_text(json.dumps(settings))
        with exporter(f"--config.file={tmp_path / 'exporter.yml'}") as target:
            target.wait_until_ready()
            series = parse(target.scrape())
        server.stop()
    assert json.loads(server.stdout.text.splitlines()[-1])["complaints"] == []
    up = {dict(labels)["org_id"]: labels for (name, labels) in series if name == "viam_billing_up"}
    # Those that are listed without a name, too.
    assert {org_id: dict(labels)["org_name"] for org_id, labels in up.items()} == names
    assert {series["viam_billing_up", labels] for labels in up.values()} == {1.0}
    found = "viam_billing_exporter_discovered_organizations"
    assert series[found, frozenset()] == len(BILLS) - len(listed) > 0
    assert "PRIVATE" not in target.process.stderr.text
