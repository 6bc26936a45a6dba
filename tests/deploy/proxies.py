"""nginx and Caddy as `deploy/proxy` sets them up, but for addresses, names and the certificate."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import free_port, wait_until
from tests.deploy.places import DEPLOY, program

_ABOUT_NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/rushes.conf;
}}
"""


class Proxy(NamedTuple):
    """A running proxy."""

    url: str
    plain_url: str
    certificate: Path
    folder: Path

    def client(self, key: str | None = None) -> httpx2.Client:
        """A client that knows the proxy's certificate."""
        headers = {} if key is None else {"Authorization": key}
        return httpx2.Client(base_url=self.url, headers=headers, verify=self.trusting, timeout=30, trust_env=False)

    @property
    def trusting(self) -> ssl.SSLContext:
        """Believes the proxy's certificate."""
        return ssl.create_default_context(cafile=self.certificate)


class Ports(NamedTuple):
    """Where a proxy listens, with TLS and without."""

    secure: int
    plain: int


def nginx(folder: Path, upstream: str, ports: Ports) -> list[str]:
    """The command that runs nginx with our file."""
    command = [program("nginx", "apt-get install nginx"), "-e", "stderr", "-p", str(folder)]
    ours = _changed(
        DEPLOY / "proxy" / "nginx.conf",
        {
            "listen 80;": f"listen 127.0.0.1:{ports.plain};",
            "listen [::]:80;": "",
            "listen 443 ssl": f"listen 127.0.0.1:{ports.secure} ssl",
            "listen [::]:443 ssl http2;": "",
            "videos.example.org": "127.0.0.1",
            "127.0.0.1:8700": upstream,
            "/etc/nginx/tls/fullchain.pem": f"{folder}/certificate.pem",
            "/etc/nginx/tls/privkey.pem": f"{folder}/key.pem",
            "/var/log/nginx/rushes.log": f"{folder}/access.log",
        },
    )
    (folder / "rushes.conf").write_text(ours)
    (folder / "nginx.conf").write_text(_ABOUT_NGINX.format(folder=folder))
    return [*command, "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, upstream: str, ports: Ports) -> list[str]:
    """The command that runs Caddy with our file."""
    command = [program("caddy", "apt-get install caddy"), "run", "--adapter", "caddyfile"]
    secure = f"https://127.0.0.1:{ports.secure}"
    ours = _changed(
        DEPLOY / "proxy" / "Caddyfile",
        {
            "videos.example.org {": f"{secure} {{\n\ttls {folder}/certificate.pem {folder}/key.pem",
            "127.0.0.1:8700": upstream,
        },
    )
    about = f"{{\n\tadmin off\n\thttp_port {ports.plain}\n\thttps_port {ports.secure}\n}}\n"
    (folder / "Caddyfile").write_text(about + ours)
    return [*command, "--config", str(folder / "Caddyfile")]


def _changed(path: Path, changes: Mapping[str, str]) -> str:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, f"{path.name} has no {old!r} any more"
        text = text.replace(old, new)
    return text


@contextmanager
def proxying(command: Callable[[Path, str, Ports], list[str]], folder: Path, upstream: str) -> Iterator[Proxy]:
    """A proxy before a server until the block ends."""
    ports = Ports(free_port(), free_port())
    folder.chmod(0o755)
    certify(folder)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        started = command(folder, urlsplit(upstream).netloc, ports)
        process = subprocess.Popen(started, stdout=log, stderr=log, env=environment, start_new_session=True)
        proxy = Proxy(
            f"https://127.0.0.1:{ports.secure}",
            f"http://127.0.0.1:{ports.plain}",
            folder / "certificate.pem",
            folder,
        )
        try:
            wait_until(lambda: process.poll() is not None or _answers(proxy), what="the proxy's first answer")
            assert process.poll() is None, (folder / "log").read_text()
            yield proxy
        finally:
            process.terminate()
            process.wait(30)


def certify(folder: Path) -> None:
    """A certificate that 127.0.0.1 signed for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*private))


def _answers(proxy: Proxy) -> bool:
    try:
        with proxy.client() as client:
            return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False
