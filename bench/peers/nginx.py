"""nginx with two workers and one static file."""

from __future__ import annotations

import os
from pathlib import Path

from bench.programs import tool

_CONF = """
daemon off;
{user}
worker_processes {processes};
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    default_type application/json;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        root {folder};
    }}
}}
"""


def command(folder: Path, port: int, processes: int) -> list[str]:
    """What starts it on the files of ``folder``."""
    # Started by root, its workers would be somebody who may not be let into the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, port=port, processes=processes, user=user))
    return [tool("nginx"), "-c", str(conf), "-p", str(folder), "-e", "stderr"]
