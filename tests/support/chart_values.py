"""Values of the chart that tests try: cases with golden files, and smaller variations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

GOLDEN: Final = Path(__file__).parents[1] / "deploy" / "golden" / "helm"
CASES: Final[dict[str, dict[str, Any]]] = {
    "default": {},  # what it makes is in deploy/kubernetes/base
    **{each.name: yaml.safe_load((each / "values.yml").read_text()) for each in GOLDEN.iterdir()},
}

# Each alone, beside what the cases of the golden files have together.
VARIATIONS: Final[dict[str, dict[str, Any]]] = {
    "1000 shards": {"replicas": 1000},
    "no storage": {"persistence": {"enabled": False}},
    "no class of storage": {"persistence": {"storageClass": "-"}},
    "no policy": {"networkPolicy": {"enabled": False}},
    "no budget of disruptions": {"podDisruptionBudget": {"enabled": False}},
    "account of the namespace": {"serviceAccount": {"create": False}},
    "nothing about security": {
        "podSecurityContext": dict.fromkeys(
            (
                "runAsNonRoot",
                "runAsUser",
                "runAsGroup",
                "fsGroup",
                "fsGroupChangePolicy",
                "seccompProfile",
            )
        ),
    },
    "no spread": {"topologySpreadConstraints": []},
    "spread by another selector": {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "all"}},
            }
        ]
    },
    "demo with a way out": {
        "demo": True,
        "networkPolicy": {"extraEgress": [{"ports": [{"port": 8443}]}]},
    },
    "rules and dashboards": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}},
    "certificates of clients": {
        "web": {"existingSecret": "web", "tls": True, "clientCertificates": True}
    },
    "pages at the root, links not": {
        "web": {"externalUrl": "https://example.com/viam", "routePrefix": "/"}
    },
    "labels and annotations under several headings": {
        "scrape": {"by": "serviceMonitor", "labels": {"release": "monitor"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "rules"}},
        "dashboards": {"enabled": True, "labels": {"release": "boards"}},
        "commonLabels": {"release": "all", "app.kubernetes.io/version": "mine"},
        "podLabels": {"release": "pods"},
        "podAnnotations": {"kubectl.kubernetes.io/default-container": "other"},
        "extraEnv": [{"name": "VIAM_API_KEY_ID", "value": "id"}],
    },
    "as part of another chart": {
        "enabled": True,
        "global": {"region": "eu", "imageRegistry": "registry.example.com:5000"},
    },
    "what pods can have": {
        "annotations": {"a": "b"},
        "updateStrategy": {"type": "OnDelete"},
        "terminationGracePeriodSeconds": 60,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.53"]},
    },
}
MATRIX: Final = CASES | VARIATIONS


def paths(values: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every value that is no mapping, or an empty one."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield prefix + key
