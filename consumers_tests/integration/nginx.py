"""nginx with the how-to's configuration, in front of servers on ports of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from consumers_tests.server.live import PATIENCE
from consumers_tests.server.test_tls import PEM
from consumers_tests.valkey import free_port

__all__ = ["NGINX", "nginx"]

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
"""Where it is; ``None``: nowhere."""

SITE = Path(__file__).parents[2] / "docs" / "examples" / "deploy" / "nginx.conf"

CERTIFICATE = f"ssl_certificate {PEM}; ssl_certificate_key {PEM};"

# Workers of one that root starts are somebody else, who may not into tests' folders.
AROUND = """\
daemon off;
user root;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def replaced(text: str, old: str, new: str) -> str:
    """Replace what has to be there once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


@contextmanager
def nginx(
    folder: Path,
    upstreams: Sequence[int | str],
    quiet: str = "60s",
    without: str = "",
    tls: int | None = None,
) -> Iterator[int]:
    """Run it, and give its port.

    ``upstreams``: ports, or the paths of sockets; ``quiet``: its `proxy_read_timeout`;
    ``without``: what is left out of the file; ``tls``: a port to do TLS at, too.
    """
    assert NGINX is not None
    port = free_port()
    listen = f"listen 127.0.0.1:{port};"
    if tls is not None:
        listen += f" listen 127.0.0.1:{tls} ssl; {CERTIFICATE}"
    site = replaced(SITE.read_text(), "listen 80;", listen)
    for written, real in zip((8001, 8002), upstreams, strict=True):
        at = f"127.0.0.1:{real}" if isinstance(real, int) else f"unix:{real}"
        site = replaced(site, f"127.0.0.1:{written}", at)
    site = replaced(site, "proxy_read_timeout 60s;", f"proxy_read_timeout {quiet};")
    assert without in site
    (folder / "site.conf").write_text(site.replace(without, "") if without else site)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    process = subprocess.Popen(
        [NGINX, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                log = folder / "error.log"
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)
