"""What must hold for the chart's objects, whatever the values are: a table of rules.

A rule tells its faults, one a line; none means that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from postroom_chassis.rpc.callers import CALLERS

from tests.deploy.chart import Object, Pod, of_kind, pods, selects

OWNERS = ("auth", "store")
LONGEST_NAME = 63  # RFC 1123, as labels and the names of Services have it
HASH = len("-0123456789")  # what a StatefulSet puts after its name, for a label
KEPT = {"PersistentVolumeClaim", "Secret"}
SLACK_SECONDS = 10  # for what is closed after the drain


def is_restricted(objects: list[Object]) -> Iterator[str]:
    """Every container is within the Pod Security Standard "restricted", and read-only."""
    for pod in pods(objects):
        level = pod.spec.get("securityContext", {})
        if level.get("runAsNonRoot") is not True:
            yield f"{pod}: runAsNonRoot"
        if level.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod}: seccompProfile"
        if level.get("runAsUser") == 0:
            yield f"{pod}: runs as root"
        for host in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(host):
                yield f"{pod}: {host}"
        for volume in pod.spec.get("volumes", ()):
            if "hostPath" in volume:
                yield f"{pod}: volume {volume['name']} is a path of the node"
        for container in pod.containers:
            context = container.spec.get("securityContext", {})
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if context != wanted:
                yield f"{container}: {context}"


def has_no_token(objects: list[Object]) -> Iterator[str]:
    """Pods have service accounts of their own, and nobody a token."""
    accounts = of_kind(objects, "ServiceAccount")
    for name, account in accounts.items():
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {name}: a token is mounted"
    for pod in pods(objects):
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod}: a token is mounted"
        if pod.spec.get("serviceAccountName") not in accounts:
            yield f"{pod}: no service account of its own"
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod}: services' addresses in its environment"


def is_bounded(objects: list[Object]) -> Iterator[str]:
    """Every container says what it needs, and at most takes."""
    for pod in pods(objects):
        for container in pod.containers:
            resources = container.spec.get("resources", {})
            for what in ("cpu", "memory"):
                if what not in resources.get("requests", {}):
                    yield f"{container}: no request of {what}"
            if "memory" not in resources.get("limits", {}):
                yield f"{container}: no limit of memory"


def is_probed(objects: list[Object]) -> Iterator[str]:
    """Every container that lasts has the three probes, on ports that it has."""
    for pod in pods(objects):
        for container in pod.containers:
            if not container.lasts:
                continue
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if not (how := container.spec.get(probe)):
                    yield f"{container}: no {probe}"
                elif how["httpGet"]["port"] not in container.ports:
                    yield f"{container}: {probe} asks a port that isn't there"


def names_its_version(objects: list[Object]) -> Iterator[str]:
    """No image is whatever is latest."""
    for pod in pods(objects):
        for container in pod.containers:
            _, _, rest = container.spec["image"].rpartition("/")
            digest, tag = "@sha256:" in rest, rest.partition(":")[2]
            if not digest and tag in ("", "latest"):
                yield f"{container}: {container.spec['image']}"


def drains(objects: list[Object]) -> Iterator[str]:
    """The kubelet waits for the pause before SIGTERM and for the whole drain."""
    for pod in pods(objects):
        if pod.owner["kind"] not in ("Deployment", "StatefulSet"):
            continue
        main = pod.container(pod.component)
        script = main.spec["lifecycle"]["preStop"]["exec"]["command"][-1]
        pause = int(script.removeprefix("import time; time.sleep(").removesuffix(")"))
        drain = float(main.env["POSTROOM_DRAIN_SECONDS"])
        if pod.spec["terminationGracePeriodSeconds"] < pause + drain + SLACK_SECONDS:
            yield f"{pod}: killed after {pod.spec['terminationGracePeriodSeconds']} s"


def mounts_what_there_is(objects: list[Object]) -> Iterator[str]:
    """Every mount has its volume, every volume is mounted, and one is mounted in one place."""
    for pod in pods(objects):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
        used: set[str] = set()
        for container in pod.containers:
            mounts = container.spec.get("volumeMounts", ())
            paths = [mount["mountPath"] for mount in mounts]
            if len(set(paths)) < len(paths):
                yield f"{container}: two mounts at one path"
            used |= {mount["name"] for mount in mounts}
        if volumes != used:
            yield f"{pod}: {sorted(volumes ^ used)}"


def fits(objects: list[Object]) -> Iterator[str]:
    """Names are as short as Kubernetes wants them, with what it adds; none comes twice."""
    seen = set()
    for one in objects:
        name, kind = one["metadata"]["name"], one["kind"]
        if len(name) > LONGEST_NAME - (HASH if kind == "StatefulSet" else 0):
            yield f"{kind} {name}: too long"
        if (kind, name) in seen:
            yield f"{kind} {name}: twice"
        seen.add((kind, name))
        for key, value in one["metadata"].get("labels", {}).items():
            if len(value) > LONGEST_NAME:
                yield f"{kind} {name}: label {key} is too long"
    for pod in pods(objects):
        for container in pod.containers:
            for port in container.ports:
                if len(port) > 15:
                    yield f"{container}: port {port} is too long (RFC 6335)"


# Networks.


def policies_of(objects: list[Object], pod: Pod) -> list[Object]:
    return [
        policy["spec"]
        for policy in of_kind(objects, "NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"], pod.labels)
    ]


def denies_by_default(objects: list[Object]) -> Iterator[str]:
    """Each pod is under a policy that allows nothing, in no direction."""
    for pod in pods(objects):
        if not any(
            set(policy["policyTypes"]) == {"Ingress", "Egress"}
            and not policy.get("ingress")
            and not policy.get("egress")
            for policy in policies_of(objects, pod)
        ):
            yield f"{pod}: what isn't allowed isn't denied"


def covers_every_port(objects: list[Object]) -> Iterator[str]:
    """Each port that a container has is one that a policy names, and the other way round.

    The ports of probes and metrics are left out where nobody may read metrics: the kubelet may
    always.
    """
    for pod in pods(objects):
        ports = {number for each in pod.containers for number in each.ports.values()}
        rules = [rule for policy in policies_of(objects, pod) for rule in policy.get("ingress", ())]
        named = {port["port"] for rule in rules for port in rule.get("ports", ())}
        watched = {8080, 8081} & ports if not named & {8080, 8081} else set()
        if ports - watched != named:
            yield f"{pod}: {sorted(ports - watched)} and {sorted(named)}"
        for rule in rules:
            if not rule.get("ports"):
                yield f"{pod}: a rule lets all ports through"


def follows_the_callers(objects: list[Object]) -> Iterator[str]:
    """Who may reach an owner's RPC, and is let out to it, is who has something to call."""
    there = {pod.component for pod in pods(objects) if pod.component not in ("test",)}
    for owner in OWNERS:
        callers = set().union(
            *(who for service, who in CALLERS.items() if service.startswith(f"postroom.{owner}."))
        )
        let_in, let_out = set(), set()
        for pod in pods(objects):
            for policy in policies_of(objects, pod):
                if pod.component == owner:
                    let_in |= components(policy.get("ingress", ()), "from", 7400)
                    for rule in policy.get("ingress", ()):
                        if any(one["port"] == 7400 for one in rule["ports"]) and not rule.get(
                            "from"
                        ):
                            yield f"{owner}: everybody is let in"
                if owner in components(policy.get("egress", ()), "to", 7400):
                    let_out.add(pod.component)
        for what, found in (("let in", let_in), ("let out", let_out)):
            if found != callers & there:
                yield f"{owner}: {what}: {sorted(found)}, callers: {sorted(callers & there)}"


def components(rules: Iterable[Object], direction: str, port: int) -> set[str]:
    """The components of the release that rules name for a port."""
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in rules
        if any(one["port"] == port for one in rule.get("ports", ()))
        for peer in rule.get(direction, ())
        if "app.kubernetes.io/component" in peer.get("podSelector", {}).get("matchLabels", {})
    }


def reaches_only_what_it_must(objects: list[Object]) -> Iterator[str]:
    """Where a policy lets a pod out to anywhere, it is for mail, a database or traces."""
    for pod in pods(objects):
        anywhere = {
            port["port"]
            for policy in policies_of(objects, pod)
            for rule in policy.get("egress", ())
            if not rule.get("to")
            for port in rule["ports"]
        }
        allowed = {4317}
        if pod.component == "smtp":
            allowed |= {25, 443}
        if pod.component.removesuffix("-migrations") in OWNERS:
            allowed |= {5432, 6432}
        if anywhere - allowed:
            yield f"{pod}: out to anywhere on {sorted(anywhere - allowed)}"


def answers_where_it_is_sent(objects: list[Object]) -> Iterator[str]:
    """Each Service finds pods, and each of its ports is one of theirs; metrics stay inside."""
    for name, service in of_kind(objects, "Service").items():
        selector = {"matchLabels": service["spec"]["selector"]}
        found = [pod for pod in pods(objects) if selects(selector, pod.labels)]
        if not found:
            yield f"Service {name}: no pod"
        for pod in found:
            ports = {number for each in pod.containers for number in each.ports.values()}
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    yield f"Service {name}: {port['name']} leads nowhere"
                outside = service["spec"]["type"] != "ClusterIP"
                if outside and port["targetPort"] in (7400, 8080, 8081, 8000, 8443, 2424):
                    yield f"Service {name}: {port['name']} is nobody's outside"


# Numbers.


def agrees_on_numbers(objects: list[Object]) -> Iterator[str]:
    """Autoscalers, replicas and disruption budgets say the same."""
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    budgets = of_kind(objects, "PodDisruptionBudget")
    for name, workload in of_kind(objects, "Deployment", "StatefulSet").items():
        replicas = workload["spec"].get("replicas")
        if (name in scalers) == (replicas is not None):
            yield f"{name}: replicas and an autoscaler, or neither"
        least = scalers[name]["spec"]["minReplicas"] if name in scalers else replicas
        if name in scalers and least > scalers[name]["spec"]["maxReplicas"]:
            yield f"{name}: at least more than at most"
        if (least > 1) != (name in budgets):
            yield f"{name}: {least} replicas, budget: {name in budgets}"
        if name in budgets and budgets[name]["spec"]["maxUnavailable"] >= least:
            yield f"{name}: all may go at once"
    for name, scaler in scalers.items():
        target = scaler["spec"]["scaleTargetRef"]
        if target["name"] not in of_kind(objects, target["kind"]):
            yield f"HorizontalPodAutoscaler {name}: scales nothing"
        if not scaler["spec"]["metrics"]:
            yield f"HorizontalPodAutoscaler {name}: by nothing"


def writes_alone(objects: list[Object]) -> Iterator[str]:
    """Whoever writes to a SQLite file is alone, also while it is replaced."""
    for pod in pods(objects):
        name = f"POSTROOM_{pod.component.upper()}_DATABASE_URL"
        url = next((each.env[name] for each in pod.containers if name in each.env), "")
        if not url.startswith("sqlite"):
            continue
        spec = pod.owner["spec"]
        alone = pod.owner["kind"] == "StatefulSet" or spec["strategy"] == {"type": "Recreate"}
        if spec.get("replicas") != 1 or not alone:
            yield f"{pod}: two may write to one file"


def spreads(objects: list[Object]) -> Iterator[str]:
    """What lasts is spread over hosts and zones, by a selector of its own pods."""
    for pod in pods(objects):
        if pod.owner["kind"] not in ("Deployment", "StatefulSet"):
            continue
        constraints = pod.spec["topologySpreadConstraints"]
        keys = {one["topologyKey"] for one in constraints}
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            yield f"{pod}: {keys}"
        if not all(selects(one["labelSelector"], pod.labels) for one in constraints):
            yield f"{pod}: spread by others"


def keeps_what_matters(objects: list[Object]) -> Iterator[str]:
    """Mail, accounts and keys stay when the release goes."""
    matter = ("-authority", "-ticket", "-secrets-keys")
    for one in objects:
        name = one["metadata"]["name"]
        if one["kind"] == "PersistentVolumeClaim" or (
            one["kind"] == "Secret" and name.endswith(matter)
        ):
            if one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") != "keep":
                yield f"{one['kind']} {name}: goes with the release"


Rule = Callable[[list[Object]], Iterator[str]]

RULES: dict[str, Rule] = {
    "restricted": is_restricted,
    "no token": has_no_token,
    "resources": is_bounded,
    "probes": is_probed,
    "versions": names_its_version,
    "drain": drains,
    "mounts": mounts_what_there_is,
    "names": fits,
    "default deny": denies_by_default,
    "every port": covers_every_port,
    "callers": follows_the_callers,
    "way out": reaches_only_what_it_must,
    "services": answers_where_it_is_sent,
    "numbers": agrees_on_numbers,
    "one writer": writes_alone,
    "spread": spreads,
    "kept": keeps_what_matters,
}


def faults(rule: str, objects: Iterable[Any]) -> list[str]:
    return list(RULES[rule](list(objects)))
