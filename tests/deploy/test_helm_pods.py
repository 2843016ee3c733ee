"""What the pods of the chart may do, and which part of the organizations each has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from exporter.flags import MAX_SHARDS, parser
from exporter.polling.sharding import choose
from support.chart_values import CASES, MATRIX, VARIATIONS
from support.container import own_flags
from support.kubernetes import (
    CHART,
    NAME,
    arguments,
    exporter,
    flags,
    helm,
    manifests,
    objects,
    of,
    one,
    pod,
    rendered,
)
from support.pod_security import violations
from support.process import ROOT

SAFE: Final = sorted(MATRIX.keys() - {"nothing about security"})
Change = Callable[[Any], object]

# Each breaks a rule of `restricted` in a pod that keeps them all.
BREAKS: Final[dict[str, Change]] = {
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "hostPID": lambda pod: pod.update(hostPID=True),
    "hostIPC": lambda pod: pod.update(hostIPC=True),
    "volumes.hostPath": lambda pod: pod["volumes"].append({"name": "a", "hostPath": {}}),
    "sysctls.a": lambda pod: pod["securityContext"].update(sysctls=[{"name": "a"}]),
    "runAsUser": lambda pod: pod["securityContext"].update(runAsUser=0),
    "exporter: runAsUser": lambda pod: own(pod).update(runAsUser=0),
    "exporter: runAsNonRoot": lambda pod: own(pod).update(runAsNonRoot=False),
    "exporter: runAsNonRoot is missing": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "exporter: seccompProfile is missing": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "exporter: seccompProfile": lambda pod: own(pod).update(seccompProfile={"type": "Unconfined"}),
    "exporter: appArmorProfile": lambda pod: own(pod).update(
        appArmorProfile={"type": "Unconfined"}
    ),
    "exporter: seLinuxOptions": lambda pod: own(pod).update(seLinuxOptions={"user": "root"}),
    "exporter: hostProcess": lambda pod: own(pod).update(windowsOptions={"hostProcess": True}),
    "exporter: privileged": lambda pod: own(pod).update(privileged=True),
    "exporter: procMount": lambda pod: own(pod).update(procMount="Unmasked"),
    "exporter: allowPrivilegeEscalation": lambda pod: own(pod).pop("allowPrivilegeEscalation"),
    "exporter: capabilities.drop": lambda pod: own(pod)["capabilities"].pop("drop"),
    "exporter: capabilities.add": lambda pod: own(pod)["capabilities"].update(add=["SYS_TIME"]),
    "exporter: hostPort": lambda pod: pod["containers"][0]["ports"][0].update(hostPort=80),
    "exporter: livenessProbe.host": lambda pod: pod["containers"][0]["livenessProbe"][
        "httpGet"
    ].update(host="elsewhere"),
}


def own(spec: Any) -> Any:
    """Return what the exporter's container says of its security."""
    return spec["containers"][0]["securityContext"]


@pytest.mark.parametrize("name", SAFE)
def test_pods_are_restricted(name: str) -> None:
    """By every rule of the strictest Pod Security Standard, containers of the user's included."""
    assert not list(violations(pod(manifests(MATRIX[name]))))


@pytest.mark.parametrize("rule", BREAKS)
def test_a_pod_that_is_not_restricted_is_found(rule: str) -> None:
    """Rule by rule: else the test above would show nothing."""
    spec = copy.deepcopy(pod(manifests({})))
    BREAKS[rule](spec)
    assert rule in list(violations(spec))


@pytest.mark.parametrize("name", SAFE)
def test_pods_can_do_even_less(name: str) -> None:
    """Write to nothing but volumes, ask nothing of the cluster unless told to, see no service."""
    spec = pod(manifests(MATRIX[name]))
    token = MATRIX[name].get("serviceAccount", {}).get("automountServiceAccountToken", False)
    assert own(spec)["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is token
    assert spec["enableServiceLinks"] is False
    for account in of(manifests(MATRIX[name]), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is token


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    """And the image needs no command, as the pod gives arguments only."""
    dockerfile = (ROOT / "deploy" / "container" / "Dockerfile").read_text()
    context = pod(manifests({}))["securityContext"]
    user, group = context["runAsUser"], context["runAsGroup"]
    assert f"\nUSER {user}:{group}\n" in dockerfile
    assert context["fsGroup"] == group
    assert f'\nENTRYPOINT ["{NAME}", ' in dockerfile
    assert "command" not in exporter(manifests({}))


@pytest.mark.parametrize("name", MATRIX)
def test_the_exporter_takes_its_arguments(name: str) -> None:
    """Each of them, by its own parser."""
    given = arguments(manifests(MATRIX[name]))
    taken = parser().parse_args([*own_flags(), *given])
    assert taken.demo == bool(MATRIX[name].get("demo"))
    assert taken.storage_path == parser().parse_args(given).storage_path


@pytest.mark.parametrize("replicas", [1, 3, 7])
def test_every_pod_is_a_shard_and_every_shard_a_pod(replicas: int) -> None:
    """An organization has exactly one pod, however many there are, by the names of the pods."""
    found = manifests({"replicas": replicas})
    stateful = one(found, "StatefulSet")
    total = parser().parse_args(arguments(found)).total_shards
    (variable,) = (each for each in exporter(found)["env"] if each["name"] == "POD_NAME")
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert "--shard" not in flags(found)
    shards = [
        choose(None, total, pod_name=f"{stateful['metadata']['name']}-{each}", host_name="node")
        for each in range(stateful["spec"]["replicas"])
    ]
    for organization in (f"organization-{number}" for number in range(50)):
        assert [shard.owns(organization) for shard in shards].count(True) == 1


def test_there_are_no_more_pods_than_shards_can_be() -> None:
    """The most that the schema allows is the most that the exporter does."""
    most = VARIATIONS["1000 shards"]["replicas"]
    assert (
        most == MAX_SHARDS == one(manifests({"replicas": most}), "StatefulSet")["spec"]["replicas"]
    )


def test_volumes_are_mounted_and_mounts_have_volumes() -> None:
    """In every case; and what the arguments name is below a mount."""
    for values in MATRIX.values():
        found = manifests(values)
        mounts = {each["name"]: each["mountPath"] for each in exporter(found)["volumeMounts"]}
        claims = one(found, "StatefulSet")["spec"].get("volumeClaimTemplates", [])
        names = [each["name"] for each in pod(found)["volumes"]]
        names += [each["metadata"]["name"] for each in claims]
        assert sorted(mounts) == sorted(names)
        for flag in ("--config.file", "--storage.path", "--web.config.file"):
            path = flags(found).get(flag)
            assert path is None or path.rpartition("/")[0] in mounts.values(), path


def named(release: str, **values: Any) -> str:
    """Return the name of the StatefulSet of a release."""
    done = helm("template", release, CHART, values=values)
    name: str = one(objects(done.stdout), "StatefulSet")["metadata"]["name"]
    return name


def test_a_long_name_fits() -> None:
    """Pods and revisions become labels of 63 characters, and the Service is a name of DNS."""
    for length in range(25, 54):
        done = helm("template", "r" * length, CHART, values=VARIATIONS["rules and dashboards"])
        found = objects(done.stdout)
        name = one(found, "StatefulSet")["metadata"]["name"]
        assert all(len(each) <= 63 for each in (f"{name}-0123456789", f"{name}-999"))
        assert name.startswith("r" * min(length, 43))
        assert one(found, "Service")["metadata"]["name"] == name
        assert all(len(each["metadata"]["name"]) <= 253 for each in found)
    assert named("r" * 30) == f"{'r' * 30}-{NAME}"  # of 52 characters nothing is cut


def test_long_names_stay_two() -> None:
    """Though they differ in what is cut."""
    first, second = [f"{'r' * 50}{number}" for number in (1, 2)]
    assert named(first) != named(second)
    assert named("r", fullnameOverride=first) != named("r", fullnameOverride=second)
    assert named("r", fullnameOverride=first) == named("other", fullnameOverride=first)


def test_a_pod_is_made_anew_for_another_configuration_only() -> None:
    """Another key or id is read from its file, and must leave no trace here."""

    def template(**values: Any) -> Any:
        return one(manifests(values), "StatefulSet")["spec"]["template"]["metadata"]

    first = {"api-key-id": "a", "api-key": "b"}
    plain = template(keys={"data": first})
    assert template(keys={"data": first | {"api-key": "c"}}) == plain
    assert template(keys={"data": first | {"api-key-id": "c"}}) == plain
    assert template(keys={"data": first}, config={"poll": {"interval": "5m"}}) != plain
    assert template(keys={"data": first}, podDisruptionBudget={"enabled": False}) == plain


def test_keys_are_files_and_nothing_else() -> None:
    """In no ConfigMap, variable or argument; only the chart's own Secret has them, encoded."""
    key = CASES["secured"]["keys"]["data"]["api-key"]
    assert key not in rendered(CASES["secured"])
    holder = one(manifests(CASES["secured"]), "Secret")
    assert not list(of(manifests({}), "Secret"))
    (volume,) = (
        each for each in pod(manifests(CASES["secured"]))["volumes"] if each["name"] == "keys"
    )
    assert volume["secret"]["secretName"] == holder["metadata"]["name"]
    assert volume["secret"]["defaultMode"] == 0o440


def test_the_image_is_where_the_registry_is() -> None:
    """That of a chart around this one counts more, as all images of it come from there."""

    def image(**values: Any) -> str:
        found: str = exporter(manifests(values))["image"]
        return found.rpartition(":")[0]

    own, around = {"registry": "own.example.com:5000"}, {"imageRegistry": "around.example.com"}
    assert image() == NAME
    assert image(image=own) == f"own.example.com:5000/{NAME}"
    assert image(image=own, **{"global": around}) == f"around.example.com/{NAME}"


def test_a_probe_of_one_s_own_replaces_that_of_the_chart() -> None:
    """With times of one's own or of the chart; Kubernetes takes no probe with two ways to ask."""
    given = VARIATIONS["probes of one's own"]
    main = exporter(manifests(given))
    usual = exporter(manifests({}))
    for name, probe in given.items():
        times = {key: value for key, value in usual[name].items() if key != "httpGet"}
        assert main[name] == times | probe


def test_pods_and_their_set_have_what_is_asked_for() -> None:
    """As it is written in the values."""
    given = VARIATIONS["what pods can have"]
    found = manifests(given)
    workload = one(found, "StatefulSet")
    assert workload["metadata"]["annotations"] == given["annotations"]
    assert workload["spec"]["updateStrategy"] == {"type": "OnDelete"}
    for name in ("terminationGracePeriodSeconds", "hostAliases", "dnsPolicy", "dnsConfig"):
        assert pod(found)[name] == given[name]
