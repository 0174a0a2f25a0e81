"""Files by signed links: how fast they come and go, beside a floor that does the least a web server can. On this machine's disk.

The same client, in this process, sends and gets the same file: to a whole installation (links, database, SHA-256, synced to the disk), to nginx where it
is installed, and to the floor, a process that passes bytes on without a look: sendfile on the way out, read and write on the way in, synced or not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.bench.figures import figure, quantile
from tests.support.installation import Installation
from tests.support.servers import state_folder

MIB = 1024 * 1024
SIZE = 512 * MIB
BLOCK = 8 * MIB
ROUNDS = 3
AT_ONCE = 4
PIECE = 256 * 1024

_FLOOR = """
import os, socket, sys, threading
folder, is_synced = sys.argv[1], sys.argv[2] == "synced"
server = socket.create_server(("127.0.0.1", 0), backlog=64)
print(server.getsockname()[1], flush=True)
def serve(connection):
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        head += connection.recv(65536)
    head, _, body = head.partition(b"\\r\\n\\r\\n")
    path = os.path.join(folder, head.split()[1].decode().strip("/").partition("?")[0].replace("/", "_"))
    if head.startswith(b"GET"):
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size)
            at = 0
            while at < size:
                at += os.sendfile(connection.fileno(), file.fileno(), at, size - at)
    else:
        left = int(next(l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length:")).split(b":")[1]) - len(body)
        buffer = bytearray(262144)
        with open(path, "wb", buffering=0) as file:
            file.write(body)
            while left:
                got = connection.recv_into(buffer)
                file.write(memoryview(buffer)[:got])
                left -= got
            if is_synced:
                os.fsync(file.fileno())
        connection.sendall(b"HTTP/1.1 201 Created\\r\\nContent-Length: 0\\r\\n\\r\\n")
    connection.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {folder}/temporary;
    server {{ listen 127.0.0.1:{port}; root {folder}/www; location / {{ dav_methods PUT; }} }} }}
"""


def main() -> None:
    """Measure all of it, in turn, a few times; print the best rate of each and the ratios."""
    with tempfile.TemporaryDirectory(prefix="ganger-bench-") as name:
        folder = Path(name)
        source = folder / "source.bin"
        with source.open("wb") as file:
            for _ in range(SIZE // MIB):
                file.write(os.urandom(MIB))
        with (
            _installation() as (up, new_link, fetched),
            _floor(folder, "synced") as synced,
            _floor(folder, "plain") as plain,
        ):
            ways: dict[str, Callable[[], object]] = {
                "upload.whole": lambda: _put(new_link(), source),
                "upload.blocks": lambda: _put_blocks(new_link(), source),
                "upload.floor.synced": lambda: _put(f"{synced}/put", source),
                "upload.floor": lambda: _put(f"{plain}/put", source),
                "download": lambda: _get(fetched(source)),
                "download.floor": lambda: _get(f"{plain}/source.bin"),
            }
            with _nginx(folder, source) as nginx:
                if nginx is not None:
                    ways |= {
                        "upload.nginx": lambda: _put(f"{nginx}/put", source),
                        "download.nginx": lambda: _get(f"{nginx}/source.bin"),
                    }
                rates = _rates(ways)
            memory = max(process.memory_info().rss for process in up.processes("api")) / MIB
    for way, rate in rates.items():
        figure("blobs", way, rate, "MiB/s", size=SIZE // MIB)
    for way, beside in (
        ("upload.whole", "upload.floor"),
        ("upload.blocks", "upload.floor"),
        ("download", "download.floor"),
    ):
        figure("blobs", f"{way}.of-floor", rates[way] / rates[beside], "ratio")
        if (nginx_way := f"{way.partition('.')[0]}.nginx") in rates:
            figure("blobs", f"{way}.of-nginx", rates[way] / rates[nginx_way], "ratio")
    figure("blobs", "api.memory", memory, "MiB", note="of the largest process, after all of it")


def _rates(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, go in ways.items():
            began = time.perf_counter()
            go()
            taken[way].append(time.perf_counter() - began)
    return {way: SIZE / MIB / quantile(seconds, 0.0) for way, seconds in taken.items()}


@contextmanager
def _installation() -> Iterator[tuple[Installation, Callable[[], str], Callable[[Path], str]]]:
    """An installation; what gives a link of a new upload, and the link to get the file of one."""
    with state_folder() as root:
        up = Installation(root, reads_answers=False, nodes=1, GANGER_API_WORKERS="2").start()
        try:
            interface = {"input_data": [{"name": "data", "type": "file"}]}
            up.api.post(
                "/job-types/", json={"name": "bench", "version": "1", "command": ["true"], "interface": interface}
            )
            kept: list[str] = []

            def new_link() -> str:
                made = up.api.post(
                    "/jobs/", json={"job_type": {"name": "bench"}, "awaits": ["data"], "held": True}
                ).json()
                return str(made["awaits"][0]["upload_url"])

            def fetched(source: Path) -> str:
                if not kept:
                    file = up.api.post(
                        "/files/", params={"file_name": "f"}, content=source.read_bytes(), timeout=120
                    ).json()
                    kept.append(f"{up.ready['url']}/files/{file['id']}/content/")
                return kept[0]

            _TOKEN.append(up.api.headers["Authorization"])
            yield up, new_link, fetched
        finally:
            up.stop()


_TOKEN: list[str] = []


@contextmanager
def _floor(folder: Path, kind: str) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-c", _FLOOR, str(folder), kind], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nginx(folder: Path, source: Path) -> Iterator[str | None]:
    """The address of an nginx that serves and takes files; None where there is none."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        yield None
        return
    (folder / "www").mkdir()
    (folder / "www" / "source.bin").hardlink_to(source)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-c", str(settings)])
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _put(url: str, source: Path, start: int = 0, length: int | None = None) -> None:
    size = source.stat().st_size if length is None else length
    with (
        _connected(url, f"PUT {_target(url)} HTTP/1.1\r\nContent-Length: {size}\r\n") as connection,
        source.open("rb") as file,
    ):
        at, end = start, start + size
        while at < end:
            at += os.sendfile(connection.fileno(), file.fileno(), at, end - at)
        line = (answer := connection.recv(65536)).partition(b"\r\n")[0]
    assert b" 201 " in line or b" 204 " in line, answer  # 204: nginx has replaced what was there


def _put_blocks(url: str, source: Path) -> None:
    names = [f"{offset:032}" for offset in range(0, SIZE, BLOCK)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(
            lambda name: _put(f"{url}&comp=block&blockid={quote(name)}", source, int(name), BLOCK), names
        ):
            pass
    listed = "".join(f"<Latest>{name}</Latest>" for name in names)
    body = f"<BlockList>{listed}</BlockList>".encode()
    with _connected(
        url, f"PUT {_target(url)}&comp=blocklist HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    ) as connection:
        connection.sendall(body)
        line = (answer := connection.recv(65536)).partition(b"\r\n")[0]
    assert b" 201 " in line or b" 204 " in line, answer  # 204: nginx has replaced what was there


def _get(url: str) -> None:
    token = f"Authorization: {_TOKEN[0]}\r\n" if "/files/" in url else ""
    with _connected(url, f"GET {_target(url)} HTTP/1.1\r\n{token}") as connection:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        assert b" 200 " in head.partition(b"\r\n")[0], head
        left, buffer = SIZE - len(head.partition(b"\r\n\r\n")[2]), bytearray(PIECE)
        while left:
            left -= connection.recv_into(buffer)


@contextmanager
def _connected(url: str, head: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(f"{head}Host: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        yield connection


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
