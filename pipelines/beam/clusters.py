"""What runners of other machines need, checked before any work: one problem and one remedy each."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psutil
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    SparkRunnerOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from prefdata.errors import ConfigError
from prefdata.files.storage import is_remote

if TYPE_CHECKING:
    from prefdata.config.params import Params

GCP_MODULES = ("google.auth", "google.cloud.dataflow", "google.cloud.storage", "apitools", "gcsfs")
CONNECT_SECONDS = 5.0
_LOCAL_MASTER = re.compile(r"(local(\[.+\])?|\[local\]|\[auto\])")
_SHARED_DISKS = re.compile(r"nfs|cifs|smb|ceph|lustre|gpfs|beegfs|gluster|afs|fuse\.")


def check_cluster(runner: Any, options: PipelineOptions, params: Params, submit: bool) -> None:
    """Check what Dataflow, Spark, Flink or another portable runner needs.

    Args:
        runner: The runner; others need nothing.
        options: All options of Beam.
        params: All of params.yaml.
        submit: Whether jobs will be submitted from here; false: only their graphs are built.

    Raises:
        ConfigError: The first thing that is missing.
    """
    name = type(runner).__name__
    if name == "DataflowRunner":
        _check_dataflow(runner, options, submit)
        _check_paths(name, params, shared_disks=False)
    elif name in ("SparkRunner", "FlinkRunner", "PortableRunner"):
        spark = options.view_as(SparkRunnerOptions).spark_master_url
        flink = options.view_as(FlinkRunnerOptions).flink_master
        master = {"SparkRunner": spark, "FlinkRunner": flink}.get(name, "")
        endpoint = options.view_as(PortableOptions).job_endpoint
        if name == "PortableRunner" and not endpoint:
            raise ConfigError(
                f"--runner={name}: no job server is named",
                "Set --job_endpoint=HOST:PORT, or name SparkRunner, FlinkRunner or DataflowRunner.",
            )
        if endpoint and endpoint != "embed" and submit:
            _check_endpoint(endpoint)
        is_local = not endpoint and bool(_LOCAL_MASTER.fullmatch(master))
        environment = _check_environment(name, options, is_local)
        if not endpoint and submit:
            _check_job_server(runner, options)
        runs_here = environment == "LOOPBACK" or endpoint == "embed" or is_local
        if environment == "DOCKER" or not runs_here:
            _check_paths(name, params, shared_disks=environment != "DOCKER")


def _check_dataflow(runner: Any, options: PipelineOptions, submit: bool) -> None:
    cloud, setup = options.view_as(GoogleCloudOptions), options.view_as(SetupOptions)
    missing = [name for name in GCP_MODULES if submit and not _is_installed(name)]
    if missing:
        raise ConfigError(
            f"--runner=DataflowRunner: {', '.join(missing)} can't be imported",
            "Install the extra: pip install prefdata[gcp]",
        )
    example = {
        "project": "my-project",
        "region": "europe-west1",
        "temp_location": "gs://my-bucket/tmp",
    }
    for option, value in example.items():
        if not getattr(cloud, option):
            raise ConfigError(
                f"--runner=DataflowRunner: --{option} is not set",
                f"Set it, such as --{option}={value}.",
            )
    errors = PipelineOptionsValidator(options, runner).validate()
    if errors:
        raise ConfigError(f"--runner=DataflowRunner: {errors[0]}", "Correct that option.")
    image = options.view_as(WorkerOptions).sdk_container_image
    if not (image or setup.setup_file or setup.extra_packages or setup.requirements_file):
        raise ConfigError(
            "--runner=DataflowRunner: its workers would start without prefdata",
            "Set --sdk_container_image to an image that has prefdata and your models' extras.",
        )


def _check_endpoint(endpoint: str) -> None:
    """Check that a job server answers: Beam would wait for it for minutes."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--job_endpoint={endpoint}: no job server can be reached there: {error}",
            "Start it, or correct HOST:PORT.",
        ) from error


def _check_environment(name: str, options: PipelineOptions, is_local: bool) -> str:
    """The type of environment in which the workers run."""
    portable = options.view_as(PortableOptions)
    environment = portable.environment_type or ("LOOPBACK" if is_local else "")
    if not environment:
        raise ConfigError(
            f"--runner={name}: --environment_type is not set, so its workers would run in a "
            "container that has no prefdata",
            "Set --environment_type=DOCKER --environment_config=IMAGE, with an image that has "
            "prefdata; EXTERNAL or PROCESS where workers have it; LOOPBACK to run them here.",
        )
    needed = {
        "DOCKER": ("docker_container_image", "the image, which must have prefdata"),
        "PROCESS": ("process_command", 'a JSON object, such as {"command": "/opt/boot"}'),
        "EXTERNAL": ("external_service_address", "HOST:PORT of the workers' pool"),
    }
    option, what = needed.get(environment.upper(), ("", ""))
    given = portable.environment_config or portable.lookup_environment_option(option)
    if option and not given:
        raise ConfigError(
            f"--runner={name}: --environment_type={environment} without --environment_config",
            f"Set --environment_config to {what}.",
        )
    return environment.upper()


def _check_job_server(runner: Any, options: PipelineOptions) -> None:
    """Check that the job server, a Java program that Beam starts, can be started."""
    from apache_beam.runners.portability import flink_runner, spark_runner
    from apache_beam.utils.subprocess_server import JavaJarServer

    name = type(runner).__name__
    server_options = options.view_as(JobServerOptions)
    java = server_options.job_server_java_launcher
    if shutil.which(java) is None:
        raise ConfigError(
            f"--runner={name}: there is no {java} to run its job server",
            "Install Java 11 or newer, or set --job_server_java_launcher to its java.",
        )
    is_spark = name == "SparkRunner"
    option = "spark_job_server_jar" if is_spark else "flink_job_server_jar"
    kind: Any = spark_runner.SparkJarJobServer if is_spark else flink_runner.FlinkJarJobServer
    given = options.get_all_options().get(option)
    if given and (is_remote(given) or os.path.isfile(given)):
        return
    if given:
        raise ConfigError(f"--{option}={given}: there is no such file", "Correct the path.")
    try:
        path = kind(options).path_to_jar()
    except ValueError as error:
        raise ConfigError(f"--runner={name}: {error}", "Correct that option.") from error
    jar = os.path.basename(path)
    cached = os.path.join(server_options.jar_cache_dir or JavaJarServer.JAR_CACHE, jar)
    if not (os.path.exists(path) or os.path.exists(cached)):
        raise ConfigError(
            f"--runner={name}: its job server, {jar}, is not on this machine",
            f"Get it from Maven Central (org.apache.beam), and set --{option} to the file.",
        )


def _check_paths(name: str, params: Params, shared_disks: bool) -> None:
    """Check that workers of other machines reach what they read and write."""
    for setting, path in _list_paths(params):
        if is_remote(path) or (shared_disks and _is_on_shared_disk(path)):
            continue
        raise ConfigError(
            f"{setting}: {path} is on this machine, and the workers of {name} are not",
            f"Set `{setting}` to a URL that every worker reaches, such as gs://… or s3://…"
            + (", or to a network disk." if shared_disks else "."),
        )


def _list_paths(params: Params) -> Iterator[tuple[str, str]]:
    """What workers read and write, with its setting."""
    yield "data", params.data
    if params.memo is not None:
        yield "memo", params.memo
    for number, source in enumerate(params.ingest.sources):
        path = getattr(source, "path", None)
        # What is no path here may be the id of a dataset.
        if isinstance(path, str) and os.path.exists(os.path.expanduser(path)):
            yield f"ingest.sources.{number}.path", path
    if params.reward_head is not None:
        yield "reward_head.out", params.reward_head.out


def _is_on_shared_disk(path: str) -> bool:
    """Whether the path, or where it will be made, is on a disk that other machines may mount."""
    real = os.path.realpath(path)
    mounts = [m for m in psutil.disk_partitions(all=True) if _is_below(real, m.mountpoint)]
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint), default=None)
    return nearest is not None and bool(_SHARED_DISKS.match(nearest.fstype))


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
