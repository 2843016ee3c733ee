"""The objects of the Prometheus Operator and of Grafana's, as far as the chart uses them.

No package with schemas refuses a key that does not exist, as the API server of a cluster does not
either: it drops it in silence. So these name every key that the chart may write, as in the API
references of the operators, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import jsonschema

from support.kubernetes import GRAFANA_OPERATOR, OPERATOR, Manifest

Schema = Mapping[str, Any]

TEXT: Final = {"type": "string", "minLength": 1}
TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Final = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"}
# Of ports of a Service and of a container: a name, 15 characters at most.
PORT: Final = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,14}$"}


def _mapping(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _list(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}


ENTRY: Final = _mapping(("name", "key"), name=TEXT, key=TEXT)  # of a Secret
SELECTOR: Final = _mapping(("matchLabels",), matchLabels=TEXTS)
RELABELING: Final = _mapping(
    sourceLabels=_list({"type": "string", "pattern": "^[a-z_][a-z0-9_]*$"}),
    separator=TEXT,
    targetLabel={"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
    replacement=TEXT,
    regex=TEXT,
    action={"enum": ["replace", "keep", "drop", "labeldrop", "labelkeep"]},
)
ENDPOINT: Final = _mapping(
    ("port", "path", "scheme"),
    port=PORT,
    path={"type": "string", "pattern": "^/"},
    scheme={"enum": ["http", "https"]},
    interval=DURATION,
    scrapeTimeout=DURATION,
    tlsConfig=_mapping(
        ca=_mapping(secret=ENTRY, configMap=ENTRY),
        cert=_mapping(secret=ENTRY, configMap=ENTRY),
        keySecret=ENTRY,
        serverName=TEXT,
        insecureSkipVerify={"type": "boolean"},
    ),
    basicAuth=_mapping(("username", "password"), username=ENTRY, password=ENTRY),
    relabelings=_list(RELABELING),
    metricRelabelings=_list(RELABELING),
)
RULE: Final = {
    **_mapping(
        ("expr",),
        record={"type": "string", "pattern": "^[a-z_:][a-z0-9_:]*$"},
        alert=TEXT,
        expr=TEXT,
        labels=TEXTS,
        annotations=TEXTS,
        **{"for": DURATION},
    ),
    "oneOf": [{"required": ["record"]}, {"required": ["alert"]}],
}
GROUP: Final = _mapping(("name", "rules"), name=TEXT, interval=DURATION, rules=_list(RULE))
LABEL: Final = {"type": "string", "pattern": "^[a-zA-Z0-9./_-]+$"}
MONITOR: Final = {
    "selector": SELECTOR,
    "namespaceSelector": _mapping(("matchNames",), matchNames=_list(TEXT)),
    "sampleLimit": {"type": "integer", "minimum": 1},
    "podTargetLabels": _list(LABEL),
}
SPECS: Final = {
    "ServiceMonitor": _mapping(
        ("selector", "endpoints"), **MONITOR, targetLabels=_list(LABEL), endpoints=_list(ENDPOINT)
    ),
    "PodMonitor": _mapping(
        ("selector", "podMetricsEndpoints"), **MONITOR, podMetricsEndpoints=_list(ENDPOINT)
    ),
    "PrometheusRule": _mapping(("groups",), groups=_list(GROUP)),
    "GrafanaDashboard": _mapping(
        ("instanceSelector", "configMapRef"),
        instanceSelector=SELECTOR,
        configMapRef=ENTRY,
        allowCrossNamespaceImport={"type": "boolean"},
        folder=TEXT,
        resyncPeriod=DURATION,
    ),
}
GROUPS: Final = dict.fromkeys(SPECS, OPERATOR) | {"GrafanaDashboard": GRAFANA_OPERATOR}


def require_known(found: Iterable[Manifest]) -> None:
    """Fail for an object of an operator that it would not take, or not all keys of."""
    for each in found:
        if each["apiVersion"] in GROUPS.values():
            jsonschema.validate(each, schema(each["kind"]))


def schema(kind: str) -> Schema:
    """Return the schema of a whole object."""
    return _mapping(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": GROUPS[kind]},
        kind={"const": kind},
        metadata=_mapping(
            ("name", "labels"), name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS
        ),
        spec=SPECS[kind],
    )
