"""The scripts that the ssh driver runs on a host: plain POSIX shell, sent on standard input to keep secrets out of argument lists.

On the host each node has a folder `<root>/<pool>/<name>` with its token, log, pid and the node's own folder. A process is
identified by its pid and the mark in its environment, so that a later process with the same pid is never mistaken for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

MARK = "GANGER_NODE_OF"

_FUNCTIONS = """
set -eu
umask 077
root={root}
case $root in /*) ;; *) root=$HOME/$root ;; esac
marked() {{ grep -qszxF "{mark}=$2" "/proc/$1/environ"; }}
alive() {{ pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] && marked "$pid" "$1"; }}
# Supervisors have an empty environment, but the node's folder among their arguments; patterns come on standard input,
# so that grep does not find itself.
# shellcheck disable=SC2062 # what follows -f are files
all_of() {{
    {{
        printf '%s\\n' "{mark}=$1" | grep -slzxF -f - /proc/[0-9]*/environ || :
        printf '%s\\n' "$1/node" | grep -slzxF -f - /proc/[0-9]*/cmdline || :
    }} | sed 's,/proc/\\([0-9]*\\)/.*,\\1,' | sort -u
}}
"""

_START = """
dir=$root/{name}
mkdir -p "$dir"
cat > "$dir/token" <<'END-OF-TOKEN'
{token}
END-OF-TOKEN
if ! alive "$dir"; then
    export {mark}="$dir" GANGER_NODE_TOKEN_FILE="$dir/token" {environment}
    command -v {program} >/dev/null || {{ echo {program} is not installed there >&2; exit 1; }}
    umask 022  # jobs run as another user, who must get to where they work
    setsid {command} --node-dir "$dir/node" </dev/null >>"$dir/log" 2>&1 &
    echo $! > "$dir/pid"
    umask 077
fi
"""

_LIST = """
mkdir -p "$root"
for dir in "$root"/*; do
    [ -d "$dir" ] || continue
    if alive "$dir"; then echo "${dir##*/} running"; else echo "${dir##*/} gone"; fi
done
"""

_RETIRE = """
dir=$root/{name}
if [ -d "$dir" ]; then
    for pid in $(all_of "$dir"); do kill -TERM "$pid" 2>/dev/null || :; done
    tries=0
    while [ -n "$(all_of "$dir")" ] && [ $tries -lt {patience} ]; do sleep 0.2; tries=$((tries + 1)); done
    for pid in $(all_of "$dir"); do kill -KILL "$pid" 2>/dev/null || :; done
    rm -rf "$dir"
fi
"""


def start(root: str, name: str, *, token: str, environment: Mapping[str, str], command: Sequence[str]) -> str:
    """Return the script that starts one node if it does not run yet."""
    exported = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
    return _functions(root) + _START.format(
        name=shlex.quote(name),
        token=token,
        mark=MARK,
        environment=exported,
        program=shlex.quote(command[0]),
        command=shlex.join(command),
    )


def listing(root: str) -> str:
    """Return the script that prints `NAME running` or `NAME gone` for every node."""
    return _functions(root) + _LIST


def retire(root: str, names: Iterable[str], *, within_s: float) -> str:
    """Return the script that ends all processes of these nodes and removes their folders."""
    patience = max(1, int(within_s / 0.2))
    parts = [_RETIRE.format(name=shlex.quote(name), patience=patience) for name in names]
    return _functions(root) + "".join(parts)


def _functions(root: str) -> str:
    return _FUNCTIONS.format(root=shlex.quote(root), mark=MARK)
