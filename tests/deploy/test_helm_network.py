"""Who may talk to the pods, and to whom they may."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from exporter.config import ApiConfig
from support.chart_values import CASES, MATRIX, VARIATIONS
from support.kubernetes import NAME, exporter, flags, manifests, of, one


def policy(values: Any) -> Any:
    """Return what the policy says."""
    return one(manifests(values), "NetworkPolicy")["spec"]


def ports(rule: Any) -> set[tuple[str, int]]:
    """Return the ports of a rule."""
    return {(each["protocol"], each["port"]) for each in rule["ports"]}


def reached(rule: Any, address: str) -> bool:
    """Tell whether a rule lets a packet through to an address."""
    ip = ip_address(address)
    blocks = [each["ipBlock"] for each in rule["to"]]
    return any(
        ip in ip_network(block["cidr"])
        and not any(ip in ip_network(each) for each in block["except"])
        for block in blocks
    )


@pytest.mark.parametrize(
    ("address", "port"),
    [
        (None, int(ApiConfig().address.rpartition(":")[2])),
        ("app.viam.com:8443", 8443),
        ("[2001:db8::1]:9443", 9443),
    ],
)
def test_the_port_of_the_api_is_open(address: str | None, port: int) -> None:
    """The one that the configuration says, which without one is the exporter's own default."""
    values = {} if address is None else {"config": {"api": {"address": address}}}
    _, api = policy(values)["egress"]
    assert ports(api) == {("TCP", port)}


def test_nothing_but_names_and_the_api_can_be_reached() -> None:
    """Not the cluster, not the cloud's metadata, by either version of IP."""
    dns, api = policy({})["egress"]
    assert ports(dns) == {("UDP", 53), ("TCP", 53)}
    assert reached(api, "93.184.215.14")
    assert reached(api, "2606:2800::1")
    private = ("10.0.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1")
    for address in (*private, "fd00::1", "fe80::1"):
        assert not reached(api, address)


def test_only_prometheus_comes_in() -> None:
    """From whichever namespace, to the one port there is."""
    (rule,) = policy({})["ingress"]
    (source,) = rule["from"]
    assert source["namespaceSelector"] == {}
    assert source["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    (port,) = exporter(manifests({}))["ports"]
    assert ports(rule) == {("TCP", port["name"])}


def test_a_demo_talks_to_nobody() -> None:
    """What it polls is in its own process."""
    assert policy(CASES["demo"])["egress"] == []


@pytest.mark.parametrize("name", MATRIX)
def test_policies_and_budgets_are_of_the_pods(name: str) -> None:
    """One whose selector matches nothing would protect nothing."""
    found = manifests(MATRIX[name])
    labels = one(found, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    for each in of(found, "NetworkPolicy"):
        assert each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert each["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for each in of(found, "PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_budget_is_one_of_pods_that_may_go_or_of_pods_that_stay() -> None:
    """Kubernetes takes only one of the two."""
    given: tuple[dict[str, Any], ...] = (
        {},
        {"maxUnavailable": "50%"},
        {"minAvailable": 2},
        {"minAvailable": 0},
    )
    made = (
        {"maxUnavailable": 1},
        {"maxUnavailable": "50%"},
        {"minAvailable": 2},
        {"minAvailable": 0},
    )
    for values, wanted in zip(given, made, strict=True):
        spec = one(manifests({"podDisruptionBudget": values}), "PodDisruptionBudget")["spec"]
        assert {
            key: spec[key] for key in spec.keys() & {"minAvailable", "maxUnavailable"}
        } == wanted


def test_a_service_gets_an_address_when_its_type_has_one() -> None:
    """With the port that is asked for, and the pods listen on the same."""
    service = one(manifests(VARIATIONS["a port of the nodes"]), "Service")["spec"]
    assert "clusterIP" not in service
    assert service["type"] == "NodePort"
    assert [port["nodePort"] for port in service["ports"]] == [30426]
    found = manifests(VARIATIONS["a load balancer"])
    service = one(found, "Service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    assert service["metadata"]["annotations"] == {"a": "b"}
    assert service["metadata"]["labels"]["c"] == "d"
    assert [port["port"] for port in service["spec"]["ports"]] == [9000]
    assert [port["containerPort"] for port in exporter(found)["ports"]] == [9000]
    assert flags(found)["--web.listen-address"] == ":9000"


def test_an_ingress_leads_to_the_pages() -> None:
    """To all of them, unless it says which; and the exporter answers to its names."""
    found = manifests(VARIATIONS["an ingress"])
    ingress, service = one(found, "Ingress"), one(found, "Service")
    first, second = ingress["spec"]["rules"]
    assert first["host"] == "bills.example.com"
    assert [each["path"] for each in first["http"]["paths"]] == ["/viam"]
    assert [each["path"] for each in second["http"]["paths"]] == ["/viam/api"]
    for path in (*first["http"]["paths"], *second["http"]["paths"]):
        backend = path["backend"]["service"]
        assert backend["name"] == service["metadata"]["name"]
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == VARIATIONS["an ingress"]["ingress"]["tls"]
    assert "--web.allowed-host=bills.example.com" in exporter(found)["args"]
    assert not list(of(manifests({}), "Ingress"))


def test_each_pod_is_reached_by_itself() -> None:
    """Ready or not: a Service with one address would show another shard each time."""
    service = one(manifests({}), "Service")
    assert service["metadata"]["name"].endswith(NAME)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
