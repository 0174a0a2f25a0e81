"""A TLS listener on port 443 of a loopback address of its own, for clients that follow `https://host/` and nothing else.

It passes bytes on to a plain port:

    with tls_relay.open_at("127.77.1.9", port) as opened:
        ...

`opened` is false where this machine does not let us listen there. Clients that take a port, and check the certificate:

    with tls_relay.trusted(tmp_path, port) as (address, certificate):
        ...
"""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HTTPS = 443


@contextlib.contextmanager
def open_at(host: str, port: int) -> Iterator[bool]:
    """Within it, what comes to `host` by TLS goes to `port` of the loopback."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, HTTPS))
        except OSError:
            yield False
            return
        with TemporaryDirectory() as folder, _relaying(listener, host, port, Path(folder)):
            yield True


@contextlib.contextmanager
def trusted(folder: Path, port: int) -> Iterator[tuple[str, Path]]:
    """Within it, what comes by TLS to the address goes to `port` of the loopback; the certificate is what a client may trust."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with _relaying(listener, "127.0.0.1", port, folder) as certificate:
            yield f"127.0.0.1:{listener.getsockname()[1]}", certificate


@contextlib.contextmanager
def _relaying(listener: socket.socket, host: str, port: int, folder: Path) -> Iterator[Path]:
    listener.listen(64)
    context = _context(host, folder)
    thread = threading.Thread(target=_accept, args=(listener, context, port), daemon=True)
    thread.start()
    yield folder / "certificate.pem"
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _context(host: str, folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    both, certificate = folder / "both.pem", made.public_bytes(serialization.Encoding.PEM)
    both.write_bytes(text + certificate)
    (folder / "certificate.pem").write_bytes(certificate)
    context.load_cert_chain(both)
    return context


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # it was shut down
            return
        threading.Thread(target=_serve, args=(connection, context, port), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        secure = context.wrap_socket(connection, server_side=True)
        with secure, socket.create_connection(("127.0.0.1", port)) as inner:
            back = threading.Thread(target=_pump, args=(inner, secure), daemon=True)
            back.start()
            _pump(secure, inner)
            back.join(30)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with contextlib.suppress(OSError, ssl.SSLError):
        target.shutdown(socket.SHUT_WR)
