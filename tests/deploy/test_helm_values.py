"""Values that cannot work are refused before anything is installed, in words that help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from exporter.config import keys
from exporter.flags import LOG_FORMATS, LOG_LEVELS, parser
from generate.documents import flags
from support.kubernetes import CHART, exporter, manifests, refused

EXPECTED: Final = Path(__file__).parent / "golden" / "helm_refused.yml"
SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text())

# By what is wrong.
WRONG: Final[dict[str, dict[str, Any]]] = {
    "a name that does not exist": {"imgae": {"tag": "1"}},
    "no pods": {"replicas": 0},
    "too many pods": {"replicas": 1001},
    "a tag that moves": {"image": {"tag": "latest"}},
    "a tag in the repository": {"image": {"repository": "example.com/exporter:1"}},
    "a digest that is none": {"image": {"digest": "sha256:abc"}},
    "two ways to be scraped": {
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
    },
    "a flag of the chart": {"extraArgs": ["--demo", "--shard=1", "--storage.path=/data"]},
    "nothing in place of a value": {"commonLabels": None, "updateStrategy": None},
    "variables of the chart": {
        "extraEnv": [{"name": "POD_NAME", "value": "a-1"}, {"name": "TOTAL_SHARDS", "value": "2"}]
    },
    "an argument that is no flag": {"extraArgs": ["demo"]},
    "a key of the configuration that does not exist": {"config": {"pol": {"interval": "5m"}}},
    "one of an organization": {"config": {"organizations": [{"id": "a", "budget": 1}]}},
    "no configuration": {"config": None},
    "no organization": {"config": {"discovery": {"enabled": False}}},
    "keys for all to read": {
        "config": {
            "credentials": {"api_key": "s3cret"},
            "organizations": [{"id": "a", "credentials": {"api_key": "s3cret"}}],
        }
    },
    "no keys": {"keys": {"existingSecret": ""}},
    "two ids of a key": {"config": {"credentials": {"api_key_id": "a"}}},
    "requests counted nowhere": {
        "config": {"api": {"max_requests_per_day": 5}},
        "persistence": {"enabled": False},
    },
    "a port that nobody knows": {"config": {"api": {"address": "${ADDRESS}"}}},
    "TLS without a certificate": {
        "web": {"certificateSecret": "tls"},
        "podMonitor": {"tlsConfig": {"serverName": "a"}},
    },
    "certificates without TLS": {"web": {"existingSecret": "web", "clientCertificates": True}},
    "a secret that is no name": {"web": {"existingSecret": "My Secret"}},
    "a link that would break the rules": {"prometheusRule": {"runbookUrl": "https://a.example/'#"}},
    "a threshold that is no number": {"prometheusRule": {"thresholds": {"spike_usd": "much"}}},
    "several pods behind one address": {
        "replicas": 2,
        "service": {"type": "NodePort"},
        "persistence": {"existingClaim": "bills"},
    },
    "an ingress to nowhere": {"ingress": {"enabled": True}},
    "dashboards without a ConfigMap": {"dashboards": {"grafanaOperator": {"enabled": True}}},
    "a budget that is nothing": {"podDisruptionBudget": {"maxUnavailable": "half"}},
    "storage for several nodes": {"persistence": {"accessModes": ["ReadWriteMany"]}},
}


def test_what_is_wrong_is_said(update_golden: bool) -> None:  # noqa: FBT001
    """All of it at once, where it is and what to do, without what could be a secret."""
    said = {name: refused(values).splitlines() for name, values in WRONG.items()}
    if update_golden:
        EXPECTED.write_text(yaml.safe_dump(said, sort_keys=False, width=1000))
    assert said == yaml.safe_load(EXPECTED.read_text())
    assert "s3cret" not in str(said)


def test_flags_of_the_chart_are_known_as_such() -> None:
    """Each flag that it sets, in any case, is refused among the user's own; and exists."""
    everything = {
        "web": {"existingSecret": "a", "externalUrl": "https://a.example", "routePrefix": "/"}
    }
    used = {
        each.partition("=")[0]
        for values in (everything, {"demo": True})
        for each in exporter(manifests(values))["args"]
    }
    own = {"--shard", "--web.systemd-socket"}  # that would contradict what it sets
    said = refused({"extraArgs": sorted(used | own)})
    assert said.count("is set by the chart: use the value ") == len(used | own)
    assert used | own <= {flag["flag"] for flag in flags(parser())}
    others = ["--web.enable-lifecycle", "--web.max-requests=5"]
    assert exporter(manifests({"extraArgs": others}))["args"][-2:] == others


def test_choices_are_the_exporter_s() -> None:
    """What the schema allows for the log is what the exporter takes."""
    log = SCHEMA["properties"]["log"]["properties"]
    assert sorted(log["level"]["enum"]) == sorted(LOG_LEVELS)
    assert sorted(log["format"]["enum"]) == sorted(LOG_FORMATS)


def test_every_mapping_of_the_chart_s_own_is_strict() -> None:
    """And every value has a place in the schema, so that none is mistyped in silence."""

    def walk(schema: Any, values: Any, path: str) -> None:
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path
            for key, value in values.items():
                assert key in schema["properties"], f"{path}.{key}"
                walk(schema["properties"][key], value, f"{path}.{key}")

    walk(SCHEMA, yaml.safe_load((CHART / "values.yaml").read_text()), "")


def test_the_schema_knows_every_key_of_the_configuration() -> None:
    """And no other: each is found where the exporter has it."""
    for key in keys():
        node = SCHEMA["definitions"]["config"]
        for part in key.path.split("."):
            node = node["properties"][part.removesuffix("[]")]
            node = node["items"] if part.endswith("[]") else node
        assert node
