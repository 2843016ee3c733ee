"""What `helm test` runs: a pod that asks the exporter, tried on real ones."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.chart_values import CASES, MATRIX, VARIATIONS
from support.kubernetes import exporter, hooks, manifests, of, one, require_valid
from support.pod_security import violations
from support.process import EXPORTER, running

TRIED: Final = (*CASES, "certificates of clients", "no policy", "a load balancer")


def spec(values: Any) -> Any:
    """Return the spec of the pod that tests."""
    return one(hooks(values), "Pod")["spec"]


@pytest.mark.parametrize("name", TRIED)
def test_kubernetes_takes_the_test(name: str) -> None:
    """The oldest and the newest, in a namespace that is restricted; with the exporter's image."""
    require_valid(hooks(MATRIX[name]))
    pod = spec(MATRIX[name])
    assert not list(violations(pod))
    (container,) = pod["containers"]
    assert container["image"] == exporter(manifests(MATRIX[name]))["image"]


def test_nothing_takes_the_test_for_the_exporter() -> None:
    """Neither the Service nor a monitor, which select by labels."""
    labels = one(hooks({}), "Pod")["metadata"]["labels"]
    service = one(manifests({}), "Service")
    assert not service["spec"]["selector"].items() <= labels.items()


def test_the_test_may_ask_the_exporter() -> None:
    """By a policy that is there as long as the test; none is needed where everybody may."""
    policy = one(hooks({}), "NetworkPolicy")["spec"]
    ((source,),) = (rule["from"] for rule in policy["ingress"])
    labels = one(hooks({}), "Pod")["metadata"]["labels"]
    assert source["podSelector"]["matchLabels"].items() <= labels.items()
    pods = one(manifests({}), "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= pods.items()
    anybody: dict[str, Any] = {"networkPolicy": {"from": []}}
    for open_to_all in (VARIATIONS["no policy"], anybody):
        assert not list(of(hooks(open_to_all), "NetworkPolicy"))


@pytest.fixture
def port() -> Iterator[int]:
    """Run an exporter on simulated bills, and return its port."""
    flags = ("--demo", "--web.listen-address=127.0.0.1:0", "--web.telemetry-path=/bills")
    with running(*EXPORTER, *flags) as process:
        yield int(process.stdout.wait_for(r"http://localhost:(\d+)/")[1])


def ended(values: Any, port: int, patience: int = 60) -> subprocess.CompletedProcess[str]:
    """Run the program of the test, which asks an exporter on this machine instead."""
    (container,) = spec(values)["containers"]
    (program,) = container["args"]
    here = re.sub(
        r"^HOST, PORT = .*$", f'HOST, PORT = "127.0.0.1", {port}', program, flags=re.MULTILINE
    )
    assert here != program
    here = here.replace("time.monotonic() + 60", f"time.monotonic() + {patience}")
    _, *options = container["command"]
    command = [sys.executable, *options, here]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_exporter_passes(port: int) -> None:
    """Health and metrics are where the values say."""
    done = ended({"demo": True, "web": {"telemetryPath": "/bills"}}, port)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["/-/healthy 200", "/bills 200"]


def test_an_exporter_that_answers_something_else_fails(port: int) -> None:
    """And the log of the pod says what."""
    done = ended({"demo": True}, port, patience=0)
    assert done.returncode == 1
    assert done.stderr == "/metrics answers 404\n"


def test_an_exporter_without_the_tls_that_it_should_have_fails(port: int) -> None:
    """What is tested is what the values say of `web.yml`."""
    done = ended({"web": {"existingSecret": "web", "tls": True}}, port, patience=0)
    assert done.returncode == 1
    assert "SSL" in done.stderr
