"""All settings with their defaults and reasons. The composition root reads them once, from GANGER_* variables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scheduler import web_addresses
from scheduler.errors import SetupError
from scheduler.servers import addresses


def _secretly(read: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    return lambda value: SecretStr(read(value.get_secret_value()))


def _networks(text: str) -> str:
    web_addresses.networks(text)
    return text


class FileSettings(BaseSettings):
    """How files come and go, and where they lie. Durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="GANGER_", env_ignore_empty=True, frozen=True)

    upload_within_s: float = Field(
        default=86_400.0, gt=0, description="longest time that the body of a request may take that is a file"
    )
    max_upload: int = Field(default=100 * 1024**3, description="largest file that is taken in")
    upload_wait_s: float = Field(
        default=86_400.0, gt=0, description="a job fails whose awaited inputs have not been uploaded by then"
    )
    public_url: Annotated[str, AfterValidator(addresses.api)] | None = Field(
        default=None,
        description="address under which clients reach the API, for links in answers; else that of the request",
    )
    public_file_url: Annotated[str, AfterValidator(addresses.api)] | None = Field(
        default=None, description="likewise for signed links to files; else public_url"
    )
    link_s: float = Field(default=3600.0, ge=60, le=7 * 86_400, description="how long a signed link to a file is good")
    blob_threads: int = Field(
        default=8,
        ge=2,
        description="files at once in each process of the API that come and go by signed links: threads of their own",
    )
    workspace_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="absolute folders, with : between them, within which workspaces of this machine may lie; files and "
        "workspaces in state_dir always may",
    )

    @field_validator("workspace_roots", mode="before")
    @classmethod
    def _folders(cls, given: object) -> object:
        """Take folders as PATH has them. Each must be absolute, and not the root of the machine."""
        folders = [Path(part) for part in given.split(":") if part] if isinstance(given, str) else given
        if isinstance(folders, (list, tuple)):
            for folder in folders:
                if not Path(folder).is_absolute() or Path(folder) == Path("/") or ".." in Path(folder).parts:
                    raise ValueError(f"{folder} is no absolute folder below /")
        return folders


class Settings(FileSettings):
    """The settings of one role. Durations are seconds, sizes are bytes."""

    database_url: SecretStr | None = None
    broker_url: Annotated[SecretStr, AfterValidator(_secretly(addresses.broker))] | None = None
    broker_users: bool = Field(
        default=True, description="give each node a user of its own at the broker, where the broker lets us"
    )
    node_broker_url: Annotated[SecretStr, AfterValidator(_secretly(addresses.broker))] | None = Field(
        default=None, description="the broker's address for nodes that pools start; default: broker_url"
    )
    state_dir: Path | None = None
    secrets_key: SecretStr | None = Field(default=None, description="keys of secrets at rest: the first one encrypts")
    secrets_key_file: Path | None = Field(
        default=None, description="file with them; else secrets/secrets-key in state_dir"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8470, ge=0, le=65535)
    api_workers: int = Field(default=2, ge=1, description="processes that answer HTTP")
    api_threads: int = Field(default=16, ge=2, description="requests at once in each of them, log streams included")
    node_threads: int = Field(
        default=6, ge=2, description="calls of nodes at once in each of them, and files of nodes: threads of their own"
    )
    client_grace_s: float = Field(
        default=10.0, gt=0, description="how long a client may keep a thread waiting, beyond what 10 kB a second allow"
    )
    body_within_s: float = Field(default=300.0, gt=0, description="longest time that the body of a request may take")
    api_user: str | None = Field(
        default=None, description="account that an API becomes that root has started; `ganger up` chooses one"
    )
    max_body: int = Field(default=1024 * 1024, description="largest JSON body, except that of POST /jobs/")
    max_jobs_body: int = Field(default=32 * 1024 * 1024, description="largest body of POST /jobs/")
    max_batch: int = Field(default=10_000, description="most jobs in one POST /jobs/")

    limit_requests: bool = Field(default=True, description="answer 429 to clients that exceed the two limits below")
    requests_per_token: int = Field(default=6_000, ge=1, description="requests a minute with one token")
    requests_per_address: int = Field(default=12_000, ge=1, description="requests a minute from one IP address")
    session_idle_s: float = Field(
        default=12 * 3600.0, gt=0, description="a browser that is not used for so long has to sign in again"
    )
    session_s: float = Field(
        default=7 * 24 * 3600.0, gt=0, description="a browser has to sign in again after so long in any case"
    )
    environment_name: str = Field(
        default="", max_length=40, description="a name for this installation that every page shows, such as production"
    )
    environment_color: Literal["", "red", "amber", "green", "blue", "violet"] = Field(
        default="", description="colour of that name"
    )
    proxies: int = Field(
        default=0, ge=0, description="number of trusted proxies in front, whose X-Forwarded-* headers count"
    )
    trusted_hosts: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="host names that the API answers to, with commas between; empty: addresses, and names that cannot be somebody else's",
    )
    organization: UUID = Field(
        default=UUID("6d1f4c1e-5a0b-4c57-9d0e-6f1a7e6b2c35"),
        description="the organization that clients of the block model and compute API name for this installation",
    )
    metafold_dates: Literal["auto", "iso", "rfc1123"] = Field(
        default="auto",
        description="how times are written on the addresses under /projects; auto: RFC 1123 for the Python client there, else ISO 8601",
    )
    submitter_priority: int = Field(default=10, description="the most urgent priority that a submitter may give a job")
    operator_priority: int = Field(default=0, description="likewise an operator; an administrator may give any")

    api_url: Annotated[str, AfterValidator(addresses.api)] | None = Field(
        default=None, description="address of the API for nodes that drivers start"
    )
    node_projects: list[str] | None = Field(
        default=None,
        description="the only projects that this node serves, * for all; default: all, or just the default project where "
        "the node cannot keep projects apart",
    )
    shared_folders: list[str] = Field(
        default=[], description="folders that jobs on this node may write to, beside their own"
    )
    node_kept_disk: int = Field(
        default=20_000,
        ge=0,
        description="MiB of Python environments and images that this node keeps for the next job, at most a fifth of its free disk",
    )
    node_sample_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="seconds between two samples of what a job on this node uses; 0 takes none",
    )
    syscall_filter: Literal["strict", "namespaces", "off"] = Field(
        default="strict",
        description="kernel calls that jobs on this node are denied; with namespaces they may make containers",
    )
    interpreters: list[str] = Field(
        default=[], description="paths of Pythons that jobs on this node may choose, beside those of the system"
    )
    pip_variables: list[str] = Field(
        default=[], description="names of variables of this node that pip gets when it installs a job's requirements"
    )
    drivers_file: Path | None = Field(default=None, description="TOML file of drivers besides local and external")
    pool_driver: str = Field(default="external", description="driver of pools that name no driver")
    scaling_s: float = Field(default=1.0, gt=0, description="how often the autoscaler decides the sizes of pools")

    tick_poll_s: float = Field(
        default=1.0, gt=0, description="longest time between two ticks; wake-ups make it shorter"
    )
    tick_limit: int = Field(default=5_000, ge=1, description="most jobs that one tick places")
    reservations: int = Field(
        default=4, ge=0, description="most jobs that cannot start yet and have room reserved for them"
    )
    preemption: bool = Field(default=False, description="let more urgent jobs take the room of preemptible ones")
    ahead_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="seconds of short work that wait on a node beyond its room, started by it without a round trip; 0: none. "
        "A shape whose longest run of late took longer never waits so",
    )
    leader_s: float = Field(
        default=10.0, gt=0, description="a leader that gives no sign of life for so long is replaced"
    )
    upkeep_s: float = Field(
        default=1.0, gt=0, description="how often the leader looks for silent nodes, late claims and jobs that come due"
    )
    check_s: float = Field(default=300.0, ge=0, description="how often the leader checks the invariants; 0 for never")
    sample_s: float = Field(
        default=60.0, gt=0, description="how often the leader writes a sample of how much waits and runs"
    )
    keep_load_days: int = Field(default=62, ge=31, description="days that samples of the load are kept")

    beat_s: float = Field(default=2.0, gt=0, description="how often a node sends a heartbeat")
    suspect_s: float = Field(default=10.0, gt=0, description="a node that is silent for so long gets no new work")
    lease_s: float = Field(default=90.0, ge=3.0, description="a node that is silent for so long loses its executions")
    claim_deadline_s: float = Field(default=60.0, gt=0, description="a placement not claimed by then is withdrawn")
    drain_s: float = Field(
        default=3600.0, gt=0, description="after that, what still runs on a draining node is stopped and queued again"
    )
    max_withdrawals: int = Field(
        default=20, ge=1, description="after so many withdrawn placements a job is held for an operator"
    )

    retry_first_s: float = Field(default=1.0, ge=0)
    retry_limit_s: float = Field(default=300.0, ge=0)
    grace_s: float = Field(default=10.0, ge=0, description="between SIGTERM and the kill of the whole tree")
    job_processes: int = Field(default=4096, ge=2, description="most processes and threads of a job that sets no limit")
    job_open_files: int = Field(
        default=65_536, ge=16, description="most open files of each process of a job that sets no limit"
    )
    output_bytes: int = Field(
        default=10 * 1024 * 1024, ge=0, description="output kept of one execution, all its streams and phases together"
    )
    web_networks: Annotated[str, AfterValidator(_networks)] = Field(
        default="", description="private networks where workspaces on the web may lie, such as 10.1.0.0/16,fd00::/8"
    )
    max_output_files: int = Field(
        default=100_000, ge=1, description="most output files of one execution; one more fails it"
    )
    keep_idempotency_days: int = Field(
        default=7, ge=7, description="days that a repeated submission with the same key makes no new job"
    )

    purge_s: float = Field(
        default=3600.0, ge=0, description="how often the leader looks for what is kept no longer; 0 for never"
    )
    keep_completed_days: int = Field(default=90, ge=0, description="days that COMPLETED jobs are kept; 0 for ever")
    keep_failed_days: int = Field(default=180, ge=0, description="days that FAILED jobs are kept; 0 for ever")
    keep_canceled_days: int = Field(default=90, ge=0, description="days that CANCELED jobs are kept; 0 for ever")
    keep_jobs: int = Field(default=0, ge=0, description="most ended jobs that a project keeps; 0 is no limit")
    keep_output_days: int = Field(default=30, ge=0, description="days that what programs printed is kept; 0 for ever")
    keep_output_bytes: int = Field(
        default=20 * 1024**3, ge=0, description="most bytes of printed output that a project keeps; 0 is no limit"
    )
    keep_files_days: int = Field(default=0, ge=0, description="days that output files of jobs are kept; 0 for ever")
    keep_files_bytes: int = Field(
        default=0, ge=0, description="most bytes of output files of jobs that a project keeps; 0 is no limit"
    )

    keep_deleted_data_sets_days: int = Field(
        default=30, ge=0, description="days in which a deleted data set can be restored; 0 for ever"
    )

    statement_timeout_s: float = Field(default=10.0, gt=0)
    lock_timeout_s: float = Field(default=3.0, gt=0)

    @field_validator("trusted_hosts", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        """Take names with commas between, or as JSON."""
        if not isinstance(given, str):
            return given
        return (
            json.loads(given)
            if given.lstrip().startswith("[")
            else [name.strip() for name in given.split(",") if name.strip()]
        )


def read_settings() -> Settings:
    """Return the settings that the environment gives. Raises SetupError, which names every fault in one line, and no value."""
    try:
        return Settings()
    except ValidationError as wrong:
        faults = [
            f"GANGER_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in wrong.errors(include_url=False)
        ]
        raise SetupError(f"the settings are wrong: {'; '.join(faults)}") from None
