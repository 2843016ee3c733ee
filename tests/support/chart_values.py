"""Values of the chart that tests try: cases with golden files, and smaller variations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from support.kubernetes import CHART

GOLDEN: Final = Path(__file__).parents[1] / "deploy" / "golden" / "helm"
CASES: Final[dict[str, dict[str, Any]]] = {
    "default": {},  # what it makes is in deploy/kubernetes/base
    **{each.name: yaml.safe_load((each / "values.yml").read_text()) for each in GOLDEN.iterdir()},
}

# Each alone, beside what the cases of the golden files have together.
VARIATIONS: Final[dict[str, dict[str, Any]]] = {
    "1000 shards": {"replicas": 1000},
    "no storage": {"persistence": {"enabled": False}},
    "no class of storage": {"persistence": {"storageClassName": "-"}},
    "a claim that exists": {"persistence": {"existingClaim": "bills"}},
    "no policy": {"networkPolicy": {"enabled": False}},
    "no budget of disruptions": {"podDisruptionBudget": {"enabled": False}},
    "pods that must stay": {"replicas": 3, "podDisruptionBudget": {"minAvailable": 2}},
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
    "for Grafana's operator": {
        "dashboards": {
            "enabled": True,
            "namespace": "grafana",
            "grafanaOperator": {
                "enabled": True,
                "matchLabels": {"team": "finance"},
                "folder": "Bills",
            },
        }
    },
    "rules of one's own": {
        "prometheusRule": {
            "enabled": True,
            "namespace": "rules",
            "additionalLabels": {"release": "kube-prometheus-stack"},
            "additionalRuleLabels": {"team": "finance"},
            "disabled": {"ViamBillingNewCostType": True},
            "customRules": {
                "ViamBillingSpendSpike": {
                    "for": "2h",
                    "severity": "critical",
                    "labels": {"page": "yes"},
                },
                "ViamBillingInvoiceOverdue": {"severity": "warning", "mitigated": "info"},
            },
            "thresholds": {"due_soon": "1w", "spike_usd": 100, "outage_share": 0.75},
        }
    },
    "a monitor elsewhere": {
        "serviceMonitor": {
            "enabled": True,
            "namespace": "prometheus",
            "scheme": "https",
            "tlsConfig": {"insecureSkipVerify": True},
            "sampleLimit": 3000000,
            "targetLabels": ["team"],
            "podTargetLabels": ["tier"],
            "metricRelabelings": [{"action": "labeldrop", "regex": "org_name"}],
        }
    },
    "a port of the nodes": {"service": {"type": "NodePort", "nodePort": 30426}},
    "a load balancer": {
        "service": {
            "type": "LoadBalancer",
            "port": 9000,
            "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "annotations": {"a": "b"},
            "labels": {"c": "d"},
        }
    },
    "an ingress": {
        "web": {"routePrefix": "/viam"},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"a": "b"},
            "labels": {"c": "d"},
            "hosts": [
                {"host": "bills.example.com"},
                {
                    "host": "*.example.org",
                    "paths": [{"path": "/viam/api", "pathType": "ImplementationSpecific"}],
                },
            ],
            "tls": [{"secretName": "bills", "hosts": ["bills.example.com"]}],
        },
    },
    "probes of one's own": {
        "startupProbe": {"tcpSocket": {"port": "http"}},
        "livenessProbe": {"httpGet": {"path": "/other", "port": 9000}, "periodSeconds": 60},
        "readinessProbe": {"exec": {"command": ["true"]}},
    },
    "keys from a volume": {
        "keys": {"existingSecret": ""},
        "extraVolumes": [{"name": "keys", "csi": {"driver": "secrets-store.csi.k8s.io"}}],
        "extraVolumeMounts": [{"name": "keys", "mountPath": "/etc/viam-billing/keys"}],
    },
    "keys from an injector": {
        "keys": {"existingSecret": ""},
        "config": {
            "credentials": {
                "api_key_id_file": "/vault/secrets/id",
                "api_key_file": "/vault/secrets/k",
            }
        },
        "serviceAccount": {"automountServiceAccountToken": True},
    },
    "certificates of clients": {
        "web": {"existingSecret": "web", "tls": True, "clientCertificates": True}
    },
    "pages at the root, links not": {
        "web": {"externalUrl": "https://example.com/viam", "routePrefix": "/"}
    },
    "labels and annotations under several headings": {
        "serviceMonitor": {"enabled": True, "additionalLabels": {"release": "monitor"}},
        "prometheusRule": {"enabled": True, "additionalLabels": {"release": "rules"}},
        "dashboards": {"enabled": True, "labels": {"release": "boards"}},
        "commonLabels": {"release": "all", "app.kubernetes.io/version": "mine"},
        "podLabels": {"release": "pods"},
        "podAnnotations": {"kubectl.kubernetes.io/default-container": "other"},
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
# Those that a maintainer of charts installs on a cluster.
CI: Final[dict[str, dict[str, Any]]] = {
    each.name: yaml.safe_load(each.read_text()) for each in sorted((CHART / "ci").iterdir())
}
MATRIX: Final = CASES | VARIATIONS | CI


def paths(values: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every value that is no mapping, or an empty one."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield prefix + key
