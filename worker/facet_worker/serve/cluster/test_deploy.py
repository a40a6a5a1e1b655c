"""What worker/deploy names exists: options, variables, files, deployments, and the arguments of a group."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("ray")

from ray.serve.schema import ServeDeploySchema

from facet_worker.serve import ray_app
from facet_worker.serve.cluster.options import GroupOptions
from facet_worker.serve.command import add_arguments

ROOT = Path(__file__).parents[4]
DEPLOY = ROOT / "worker/deploy"


def options_of(command: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser.add_subparsers(dest="command", required=True).add_parser("serve"))
    return parser.parse_args(command)


def deployments_of(group: GroupOptions) -> tuple[Any, Any]:
    """Gateway and replicas, as Ray would be given them."""
    bound: Any = ray_app.app(group)
    ingress = bound._bound_deployment
    return ingress, ingress.init_args[1]._bound_deployment


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def serve_configs() -> list[Any]:
    service = yaml.safe_load((DEPLOY / "rayservice.yaml").read_text())
    return [yaml.safe_load((DEPLOY / "serve.yaml").read_text()), yaml.safe_load(service["spec"]["serveConfigV2"])]


def test_compose_starts_the_worker_by_options_that_it_has() -> None:
    services = compose()["services"]
    given = options_of(services["worker"]["command"])
    address = services["app"]["environment"]["FACET_WORKER_URL"]
    assert address == f"http://worker:{given.port}"
    # Paths in the container are those of the folder that is mounted unless another is named.
    source, _, target = services["worker"]["volumes"][0].removesuffix(":ro").rpartition(":")
    default = DEPLOY / source.removeprefix("${FACET_MODELS:-").removesuffix("}")
    for path in (given.model, *given.dictionary):
        assert (default / path.removeprefix(f"{target}/")).is_dir()
    # Listening for others, it would not start without a token.
    assert given.host == "0.0.0.0"
    assert "FACET_WORKER_TOKEN" in services["worker"]["environment"]
    tokens = {services[name]["environment"]["FACET_WORKER_TOKEN"] for name in ("app", "worker")}
    assert tokens == {"${FACET_WORKER_TOKEN:?set a token}"}
    assert given.grace < int(services["worker"]["stop_grace_period"].removesuffix("s"))


def test_compose_files_build_from_files_that_are_there() -> None:
    services = compose()["services"]
    for name in ("app", "worker"):
        build = services[name]["build"]
        assert (DEPLOY / build["context"]).resolve() == ROOT
        recipe = (ROOT / build["dockerfile"]).read_text()
        for line in re.findall(r"^COPY (.+)$", recipe, re.MULTILINE):
            *sources, _ = line.split()
            assert all((ROOT / source).exists() for source in sources)
    assert set(yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]) <= set(services)
    named = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert set(compose()["volumes"]) == {name for name in named if re.fullmatch(r"\w+", name)}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_every_variable_is_one_that_something_reads() -> None:
    named = {name for file in DEPLOY.iterdir() for name in re.findall(r"\bFACET_[A-Z_]+\b", file.read_text())}
    assert named >= {"FACET_WORKER_TOKEN", "FACET_WORKER_URL"}
    # Compose's own.
    named.discard("FACET_MODELS")
    read = "".join(
        file.read_text()
        for file in [*(ROOT / "lib").glob("*.ts"), *(ROOT / "cli").rglob("*.mjs"), *(ROOT / "worker/facet_worker/serve").glob("*.py")]
    )
    assert {name for name in named if name not in read} == set()


@pytest.mark.parametrize("config", serve_configs(), ids=["serve.yaml", "rayservice.yaml"])
def test_serve_configs_are_rays_own_and_build(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_WORKER_TOKEN", "secret")
    checked = ServeDeploySchema.model_validate(config)
    for application in checked.applications:
        assert application.import_path == f"{ray_app.__name__}:{ray_app.app.__name__}"
        group = GroupOptions.model_validate(application.args)
        ingress, replicas = deployments_of(group)
        assert {deployment.name for deployment in application.deployments} <= {ingress.name, replicas.name}
        assert replicas.num_replicas == group.replicas
        assert replicas.max_ongoing_requests == group.settings().concurrency == 8
        assert replicas._deployment_config.max_queued_requests == group.queue == 32
        assert replicas.ray_actor_options["num_gpus"] == 1
        assert group.settings().token == "secret"


def test_the_kubernetes_service_is_whole() -> None:
    service = yaml.safe_load((DEPLOY / "rayservice.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    config = serve_configs()[1]
    application = config["applications"][0]
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    worker_group = cluster["workerGroupSpecs"][0]
    worker = worker_group["template"]["spec"]["containers"][0]
    assert config["http_options"]["port"] in [port["containerPort"] for port in head["ports"]]
    for container in (head, worker):
        assert "FACET_WORKER_TOKEN" in [variable["name"] for variable in container["env"]]
    mounted = worker["volumeMounts"][0]["mountPath"]
    assert all(path.startswith(f"{mounted}/") for path in (application["args"]["model"], *application["args"]["dictionary"]))
    gpus = worker_group["replicas"] * int(worker["resources"]["limits"]["nvidia.com/gpu"])
    assert gpus >= application["deployments"][0]["num_replicas"] * application["args"]["gpus"]
    assert worker_group["template"]["spec"]["terminationGracePeriodSeconds"] > application["args"]["grace"]
    locked = re.search(r"^ray==(.+)$", (ROOT / "worker/requirements.lock").read_text(), re.MULTILINE)
    assert locked
    assert cluster["rayVersion"] == locked[1]


def test_as_many_requests_enter_a_replica_as_it_runs_at_once() -> None:
    group = GroupOptions.model_validate({"model": "/m", "dictionary": ["/d/model.layers.1"]})
    for options, wanted in (
        (group, 1),
        (group.model_copy(update={"device": "cuda"}), 8),
        (group.model_copy(update={"concurrency": 3, "gpus": 1}), 3),
    ):
        _, replicas = deployments_of(options)
        assert replicas.max_ongoing_requests == options.settings().concurrency == wanted


@pytest.mark.parametrize("wrong", [{"replica": 2}, {"replicas": 0}, {"dictionary": []}, {"dtype": "int8"}, {"queue": -1}])
def test_a_group_refuses_arguments_that_it_does_not_have(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GroupOptions.model_validate({"model": "/m", "dictionary": ["/d/model.layers.1"], **wrong})
