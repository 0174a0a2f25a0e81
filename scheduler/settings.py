"""All settings, with their defaults and reasons; read once by the composition root, from GANGER_* variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One role's settings. Durations are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix="GANGER_", frozen=True)

    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    state_dir: Path | None = None
    secrets_key: SecretStr | None = Field(default=None, description="keys of secrets at rest: the first one encrypts")
    secrets_key_file: Path | None = Field(
        default=None, description="file with them; else secrets/secrets-key in state_dir"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8470, ge=0, le=65535)
    api_workers: int = Field(default=2, ge=1, description="processes that answer HTTP")
    api_threads: int = Field(default=16, ge=2, description="requests at once in each of them, log streams included")
    max_body: int = Field(default=1024 * 1024, description="largest JSON body but that of POST /jobs/")
    max_jobs_body: int = Field(default=32 * 1024 * 1024, description="largest body of POST /jobs/")
    max_upload: int = Field(default=100 * 1024**3, description="largest file that is taken in")
    max_batch: int = Field(default=10_000, description="most jobs in one POST /jobs/")

    limit_requests: bool = Field(default=False, description="answer 429 to whoever asks more often than this:")
    requests_per_token: int = Field(default=6_000, ge=1, description="requests a minute with one token")
    requests_per_address: int = Field(default=12_000, ge=1, description="requests a minute from one IP address")
    proxies: int = Field(default=0, ge=0, description="trusted proxies in front, whose X-Forwarded-* headers count")
    trusted_hosts: list[str] = Field(default=[], description="host names the API answers to; none named: to all")

    api_url: str | None = Field(default=None, description="where nodes find the API, for pools whose nodes we start")
    drivers_file: Path | None = Field(default=None, description="TOML that describes drivers beside local and external")
    pool_driver: str = Field(default="external", description="driver of pools that name none")
    scaling_s: float = Field(default=1.0, gt=0, description="how often the size of pools is thought about")

    tick_poll_s: float = Field(
        default=1.0, gt=0, description="a tick at least this often; wake-ups only make it sooner"
    )
    tick_limit: int = Field(default=5_000, ge=1, description="most placements of one tick")
    reservations: int = Field(
        default=4, ge=0, description="how many jobs that cannot start yet have a place kept for them"
    )
    preemption: bool = Field(default=False, description="let more urgent jobs take the room of preemptible ones")
    leader_s: float = Field(default=10.0, gt=0, description="a leader whose beat stands still so long is replaced")
    upkeep_s: float = Field(default=1.0, gt=0, description="how often silence, lateness and due times are looked for")
    check_s: float = Field(default=300.0, ge=0, description="how often the leader checks the invariants; 0 for never")
    sample_s: float = Field(default=60.0, gt=0, description="how often the leader writes down how much waits and runs")
    keep_load_days: int = Field(default=62, ge=31, description="samples of the load are kept so long")

    beat_s: float = Field(default=2.0, gt=0, description="how often a node gives a sign of life")
    suspect_s: float = Field(default=10.0, gt=0, description="a node silent so long gets no new work")
    lease_s: float = Field(default=90.0, ge=3.0, description="a node silent so long loses its executions")
    claim_deadline_s: float = Field(default=60.0, gt=0, description="a placement not claimed by then is withdrawn")
    drain_s: float = Field(
        default=3600.0, gt=0, description="a draining node's work is stopped and queued again after that"
    )
    max_withdrawals: int = Field(default=20, ge=1, description="then the job is held for an operator to look at")

    retry_first_s: float = Field(default=1.0, ge=0)
    retry_limit_s: float = Field(default=300.0, ge=0)
    grace_s: float = Field(default=10.0, ge=0, description="between SIGTERM and the kill of the whole tree")
    job_processes: int = Field(default=4096, ge=2, description="processes and threads of a job that says nothing")
    job_open_files: int = Field(default=65_536, ge=16, description="open files of each process of such a job")
    output_bytes: int = Field(default=10 * 1024 * 1024, ge=0, description="output kept per stream and phase")
    keep_idempotency_days: int = Field(default=7, ge=7)

    statement_timeout_s: float = Field(default=10.0, gt=0)
    lock_timeout_s: float = Field(default=3.0, gt=0)
