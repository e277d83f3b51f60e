"""The image and the compose file, as far as they can be judged without a container engine.

Nothing here builds or runs them: docs/deployment.md says so.
"""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from outbox.service.limits import longest_stop
from outbox.settings import Settings, load, unknown_variables
from outbox.settings.values import duration
from support import command_lines
from support.pages import marked
from support.project import ROOT

DOCKER = ROOT / "docker"
PAGE = ROOT / "docs" / "deployment.md"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they are given, lines joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest.strip()) for line in lines if line for name, _, rest in [line.partition(" ")]]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "overcentric-outbox"}
WORKERS = {name: each for name, each in OURS.items() if each["command"][0] == "worker"}


def test_what_is_copied_is_there_and_is_sent() -> None:
    """Each source of a COPY exists, and .dockerignore lets it into the build, which it does with nothing secret."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    assert not [each for each in allowed if fnmatch.fnmatch(each, ".*")]


def test_the_image_is_a_worker_without_rights() -> None:
    """The last stage runs as a number, which Kubernetes can tell from root, installs nothing, and looks after itself."""
    last = instructions()
    del last[: [name for name, _ in last].index("FROM", 2)]
    found = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["USER"])
    assert not re.search(r"apt-get|pip install|gcc", json.dumps(last))
    entry, command = json.loads(found["ENTRYPOINT"]), json.loads(found["CMD"])
    command_lines.check([*entry, *command])
    command_lines.check(json.loads(found["HEALTHCHECK"].partition("CMD ")[2]))
    variables = dict(re.findall(r"(OUTBOX_\w+)=(\S+)", found["ENV"]))
    assert unknown_variables(variables) == []


def test_what_the_image_runs_is_locked() -> None:
    """What the image gets beside the outbox is among the constraints, with the same versions and hashes."""
    locked = _locked(ROOT / "constraints.txt")
    wanted = _locked(DOCKER / "requirements.txt")
    assert {name: locked[name] for name in wanted} == wanted
    assert {"sqlalchemy", "psycopg", "pymysql", "pyreqwest"} <= wanted.keys()
    assert not {"pytest", "ruff", "mypy", "build"} & wanted.keys()


def _locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by name."""
    found = {}
    for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
        if (head := re.match(r"([a-z0-9-]+)==(\S+)", block)) is not None:
            found[head[1]] = (head[2], frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)))
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_refers_to_what_is_there(name: str) -> None:
    """Services that are waited for exist, are started with it, and can be waited for in that way; files exist."""
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        assert set(SERVICES[other].get("profiles", [])) <= set(service.get("profiles", []))
        healthy = how["condition"] == "service_healthy"
        assert not healthy or "test" in SERVICES[other]["healthcheck"]
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert (DOCKER / source).exists() if source.startswith("./") else source in compose()["volumes"], volume
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "nothing is opened to the network by an example"


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_services_is_right(name: str) -> None:
    """Its command is one, its settings can be read, and it has no more rights than it needs."""
    service = OURS[name]
    command_lines.check(["outbox", *service["command"]])
    environment = {**service["environment"]}
    assert unknown_variables(environment) == []
    assert load(environ=environment).settings.database_url
    assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108
    assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_given_the_time_that_its_stop_may_take(name: str) -> None:
    """Docker's 10 s would kill it in the middle of a drain."""
    assert duration(WORKERS[name]["stop_grace_period"]) >= longest_stop(Settings())


def test_prometheus_asks_the_workers() -> None:
    """The services and the port of prometheus.yml are those of compose.yaml."""
    (job,) = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    (way,) = job["dns_sd_configs"]
    assert set(way["names"]) == set(WORKERS)
    for worker in WORKERS.values():
        assert worker["command"][worker["command"].index("--metrics-port") + 1] == str(way["port"])


def test_the_deployment_that_is_shown() -> None:
    """Kubernetes' manifest: its probes are commands of ours, its variables settings, and its grace period long enough."""
    pod = yaml.safe_load(marked(PAGE, "kubernetes"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] >= longest_stop(Settings())
    for probe in ("livenessProbe", "startupProbe"):
        command_lines.check(container[probe]["exec"]["command"])
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert unknown_variables(variables) == []
    assert variables["OUTBOX_METRICS_PORT"] == str(ports[container["readinessProbe"]["httpGet"]["port"]])
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    mounted = next(each["mountPath"] for each in container["volumeMounts"] if each["name"] == "secrets")
    assert variables["OUTBOX_DATABASE_URL_FILE"].startswith(f"{mounted}/")
