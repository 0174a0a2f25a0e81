"""How this node keeps jobs apart from itself and from each other: its isolation, and what follows from it.

users        each execution has a user id of its own
namespaces   all have the node's own id, but each is alone in its namespaces, and what is the node's is hidden
account      all jobs have one account, which is not the node's: they reach each other, but not the node
none         jobs are the node: its token, its journal and each other
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from workers.agent.setup import NodeSetup
from workers.machine import user_namespace
from workers.runners import images, venvs
from workers.runners.confining import ConfinementRules
from workers.settings import JOB_USER, NodeSettings
from workers.supervisor.trees import pid_namespace

USERS: Final = "users"
NAMESPACES: Final = "namespaces"
ACCOUNT: Final = "account"
NONE: Final = "none"
LABEL: Final = "isolation"
SERVES: Final = "serves"
"""The label that names the only projects a node serves; without it, it serves all."""

_EVERYBODY: Final = "*"
_DEFAULT_PROJECT: Final = "default"
_RUN: Final = "/run"
_RESOLVER: Final = Path("/etc/resolv.conf")


def rules(settings: NodeSettings, node_setup: NodeSetup) -> ConfinementRules:
    """Return how runs are confined. Where all jobs are one named account, they may write what is that account's."""
    calls = None if settings.syscall_filter == "off" else settings.syscall_filter
    work = node_setup.paths.work
    if not user_namespace.is_alone():
        return ConfinementRules(
            settings.shared_folders,
            readable=(work,) if node_setup.paths.covered_at() else (),
            read_only=settings.job_user == JOB_USER,
            calls=calls,
            own_users=node_setup.slots is not None,
        )
    kept = (f"{work}/{venvs.FOLDER}", f"{work}/{images.HOME}")
    # Below /run are the doors of other programs of this user: the message bus, the keyring, a container engine.
    resolver = str(_RESOLVER.resolve().parent)
    return ConfinementRules(
        settings.shared_folders,
        hidden=(str(settings.node_dir.resolve()), work, _RUN, *settings.hidden),
        readable=(
            *kept,
            *([resolver] if resolver.startswith(f"{_RUN}/") else []),
        ),
        calls=calls,
    )


def wanted_tree(settings: NodeSettings) -> str | None:
    """Return the kind of process trees to ask for; None for the best there is."""
    return settings.tree or (pid_namespace.PidNamespaces.name if user_namespace.is_alone() else None)


def level(node_setup: NodeSetup, powers: dict[str, object]) -> str:
    """Return the isolation of this node, with the supervisor that it has."""
    if node_setup.slots is not None:
        return USERS
    if node_setup.user is not None:
        return ACCOUNT
    holds = powers.get("confines") and powers.get("tree") == pid_namespace.PidNamespaces.name
    return NAMESPACES if holds and user_namespace.is_alone() else NONE


def labels(settings: NodeSettings, isolation: str) -> dict[str, str]:
    """Return the labels that say so. A node that cannot keep projects apart serves one, unless its settings name more."""
    projects = settings.projects
    if projects is None and isolation in {ACCOUNT, NONE}:
        projects = (_DEFAULT_PROJECT,)
    named = {} if projects is None or _EVERYBODY in projects else {SERVES: ",".join(projects)}
    return {LABEL: isolation, **named}


def warning(isolation: str) -> str | None:
    """Return the sentence for people about a node that does not keep jobs apart; None if it does."""
    if isolation == NONE:
        return (
            "Jobs run as the node's own user and can read its token and each other: run it as root, or let this user make "
            "user namespaces. It serves the project 'default' only, unless --project names others."
        )
    if isolation == ACCOUNT:
        return (
            "All jobs run as one account and can reach each other. The node serves the project 'default' only, "
            "unless --project names others."
        )
    return None
