"""The pods of the chart as processes of this machine: what they are told and what they mount is
the chart's, but for where things are.

A port of a pod is some free port here, what a Secret holds lies below a folder of the pod's, a
Service's name leads to its pod. One pod for each component runs.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import ports
from deploy.local.child import Child
from tests.deploy.chart import NAMESPACE, Container, Object, Pod, of_kind, pods
from tests.harness.clients import require

SIDECAR = Path(__file__).resolve().parents[2] / "deploy/tls/sidecar.py"
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
RUN_SECONDS = 120.0
PYTHON = "/opt/postroom/bin/python"  # of the images
LASTING = ("Deployment", "StatefulSet")
STARTED_FIRST = ("auth", "store")
# An address and a port, as listeners, sidecars and addresses of others have them.
PLACE = re.compile(r"(?P<host>[A-Za-z0-9.\-]*|\[::\]):(?P<port>[0-9]{2,5})\b")
ENDING = f".{NAMESPACE}.svc.cluster.local"


@dataclass(frozen=True)
class Here:
    """Where a pod is on this machine.

    Attributes:
        ports: by the pod's own.
        folder: stands for the root of its file system.
    """

    pod: Pod
    ports: Mapping[int, int]
    folder: Path


class ClusterHere:
    """The pods of a release.

    Args:
        objects: what the chart has made, and whatever Secrets it doesn't make.
        folder: for all files.
    """

    def __init__(self, objects: Iterable[Object], folder: Path) -> None:
        self._objects = list(objects)
        self._services = of_kind(self._objects, "Service")
        self._held = {kind: of_kind(self._objects, kind) for kind in ("Secret", "ConfigMap")}
        self.pods = {
            pod.component: self._place(pod, folder / pod.component) for pod in pods(self._objects)
        }

    def _place(self, pod: Pod, folder: Path) -> Here:
        numbers = sorted(
            {
                int(found["port"])
                for container in pod.containers
                for value in container.env.values()
                for found in PLACE.finditer(value)
            }
            | {number for container in pod.containers for number in container.ports.values()}
        )
        chosen = ports.choose(tuple(map(str, numbers)))
        here = Here(pod, {number: chosen[str(number)] for number in numbers}, folder)
        for volume in pod.spec["volumes"]:
            self._fill(volume, folder / "volumes" / volume["name"])
        return here

    def _fill(self, volume: Object, folder: Path) -> None:
        folder.mkdir(parents=True)
        if (source := volume.get("secret")) is not None:
            data = self._held["Secret"][source["secretName"]]["data"]
            held = {key: base64.b64decode(value) for key, value in data.items()}
        elif (source := volume.get("configMap")) is not None:
            data = self._held["ConfigMap"][source["name"]]["data"]
            held = {key: value.encode() for key, value in data.items()}
        else:
            return
        items = {item["key"]: item["path"] for item in source.get("items", ())}
        for key, path in (items or {key: key for key in held}).items():
            (folder / path).write_bytes(held[key])

    def run(self, component: str) -> list[str]:
        """What a pod says that is to end well, line by line."""
        here = self.pods[component]
        (container,) = here.pod.containers
        python, *arguments = container.spec["command"]
        assert python == PYTHON
        ran = subprocess.run(
            [sys.executable, *(self._path(here, container, each) for each in arguments)],
            env=self.environment(here, container),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
        return ran.stdout.splitlines()

    def _path(self, here: Here, container: Container, text: str) -> str:
        """A path as it is here, wherever it stands in a text."""
        mounts = {one["mountPath"]: one["name"] for one in container.spec["volumeMounts"]}
        longest_first = sorted(mounts, key=len, reverse=True)
        return re.sub(
            "|".join(map(re.escape, longest_first)),
            lambda found: str(here.folder / "volumes" / mounts[found[0]]),
            text,
        )

    def environment(self, here: Here, container: Container) -> dict[str, str]:
        """What a container is told, with the places of this machine."""

        def translate(value: str) -> str:
            path = self._path(here, container, value)
            return PLACE.sub(lambda found: self._where(found, here), path)

        told = {name: translate(value) for name, value in container.env.items()}
        if "POSTROOM_HTTP_PORT" in told:
            told["POSTROOM_HTTP_HOST"] = ports.HOST
            told["POSTROOM_HTTP_PORT"] = str(here.ports.get(8080, 0))
        return told

    def _where(self, found: re.Match[str], here: Here) -> str:
        host, port = found["host"].removesuffix(ENDING), int(found["port"])
        if host in self._services:
            return self.service(host, port)
        if port in here.ports:
            return f"{ports.HOST}:{here.ports[port]}"
        return found[0]

    def service(self, name: str, port: int) -> str:
        """Where a port of a Service leads."""
        spec = self._services[name]["spec"]
        (target,) = (one["targetPort"] for one in spec["ports"] if one["port"] == port)
        component = spec["selector"]["app.kubernetes.io/component"]
        return f"{ports.HOST}:{self.pods[component].ports[target]}"

    def processes(self) -> Iterator[tuple[str, Child]]:
        """By the pod's component; owners first, and a sidecar before its front."""
        for component in sorted(self.pods, key=lambda one: one not in STARTED_FIRST):
            here = self.pods[component]
            if here.pod.owner["kind"] not in LASTING:
                continue
            for container in here.pod.containers:
                beside = container.name == "tls"
                yield (
                    component,
                    Child(
                        f"{component} {container.name}",
                        [sys.executable, SIDECAR]
                        if beside
                        else [sys.executable, "-m", f"postroom_{component}"],
                        self.environment(here, container),
                        here.folder / f"{container.name}.log",
                        here.ports[8081 if beside else 8080],
                    ),
                )


@contextmanager
def running(
    objects: Iterable[Object], folder: Path, *, first: Iterable[str] = ()
) -> Iterator[ClusterHere]:
    """A release whose pods run and are ready, until the context ends.

    Args:
        first: pods that must have ended well before the others start.
    """
    require("" if shutil.which("haproxy") else "haproxy")
    here = ClusterHere(objects, folder)
    for component in first:
        here.run(component)
    started = [child for _, child in here.processes()]
    with ExitStack() as stack:
        for child in started:
            child.start()
            stack.callback(child.await_stop, STOP_SECONDS)
            stack.callback(child.ask_to_stop)
        deadline = time.monotonic() + READY_SECONDS
        for child in started:
            child.await_ready(deadline)
        yield here
