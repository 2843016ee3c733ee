"""The Pod Security Standard `restricted`, rule by rule, for pods that run Linux."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Part = Mapping[str, Any]

HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECCOMP: Final = {"RuntimeDefault", "Localhost"}
APPARMOR: Final = {None, "RuntimeDefault", "Localhost"}
SELINUX: Final = {None, "", "container_t", "container_init_t", "container_kvm_t"}
PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")


def violations(pod: Part) -> Iterator[str]:
    """Yield every rule that the spec of a pod breaks, with where it does."""
    yield from (name for name in HOST if pod.get(name))
    for volume in pod.get("volumes", []):
        yield from (f"volumes.{kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    own = pod.get("securityContext", {})
    yield from (f"sysctls.{each['name']}" for each in own.get("sysctls", []))
    yield from _of_both(own)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            for rule in _of_container(container, own):
                yield f"{container['name']}: {rule}"


def _of_both(context: Part) -> Iterator[str]:
    """Yield what neither a pod nor a container may say."""
    if context.get("runAsUser") == 0:
        yield "runAsUser"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"
    if context.get("appArmorProfile", {}).get("type") not in APPARMOR:
        yield "appArmorProfile"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if context.get("seccompProfile", {"type": "RuntimeDefault"}).get("type") not in SECCOMP:
        yield "seccompProfile"


def _of_container(container: Part, pod: Part) -> Iterator[str]:
    own = container.get("securityContext", {})
    yield from _of_both(own)
    # What has to be said, by the container or for all of them.
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield "runAsNonRoot is missing"
    if not own.get("seccompProfile", pod.get("seccompProfile")):
        yield "seccompProfile is missing"
    if own.get("privileged"):
        yield "privileged"
    if own.get("procMount") not in {None, "Default"}:
        yield "procMount"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    yield from _of_capabilities(own.get("capabilities", {}))
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    for name in PROBES:
        handlers = container.get(name, {})
        if any(handlers.get(each, {}).get("host") for each in ("httpGet", "tcpSocket")):
            yield f"{name}.host"


def _of_capabilities(capabilities: Part) -> Iterator[str]:
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities.drop"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
