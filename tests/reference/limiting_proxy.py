"""The proxy of tools/deploy on loopback, where nginx is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "tools", "deploy", "proxy")
MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"


class LimitingProxy:
  """In front of servers at these ports, with the limits that are deployed.

  Args:
    folder: a temporary one.
    rest_port, grpc_port: of the server behind it.
    changes: texts of the template that are replaced, each by its value.

  Attributes:
    rest_port, grpc_port: of the proxy.
  """

  def __init__(self, folder, rest_port, grpc_port, changes=()):
    if shutil.which("nginx") is None or not os.path.exists(MODULE):
      pytest.skip("needs nginx and its JavaScript module: apt-get install "
                  "nginx-light libnginx-mod-http-js")
    self.rest_port, self.grpc_port = _free_port(), _free_port()
    with open(os.path.join(FOLDER, "nginx.conf.template"),
              encoding="utf-8") as f:
      text = f.read()
    folder = str(folder)
    for old, new in (
        ("${TF_SERVING_HOST}", "127.0.0.1"),
        ("${NGINX_LOCAL_RESOLVERS}", "127.0.0.1"),
        ("listen 8501", f"listen 127.0.0.1:{self.rest_port}"),
        ("listen 8500", f"listen 127.0.0.1:{self.grpc_port}"),
        ("$serving:8501", f"$serving:{rest_port}"),
        ("$serving:8500", f"$serving:{grpc_port}"),
        ("js_path /etc/nginx/njs/", f"js_path {FOLDER}"),
        (" /tmp/", f" {folder}/"), ("/dev/stdout", f"{folder}/access.log"),
        ("error_log stderr", f"error_log {folder}/error.log"),
        *changes):
      assert old in text, old
      text = text.replace(old, new)
    self.config = os.path.join(folder, "nginx.conf")
    with open(self.config, "w", encoding="utf-8") as f:
      f.write(f"daemon off;\nmaster_process off;\n{text}")

  def __enter__(self):
    self._process = subprocess.Popen(
        ["nginx", "-c", self.config], stderr=subprocess.PIPE, text=True)
    ends_at = time.monotonic() + 20
    while True:
      try:
        socket.create_connection(("127.0.0.1", self.rest_port), 1).close()
        return self
      except OSError:
        if self._process.poll() is not None or time.monotonic() > ends_at:
          self._process.kill()
          raise AssertionError(self._process.communicate()[1]) from None
        time.sleep(0.02)

  def __exit__(self, *_):
    self._process.send_signal(signal.SIGTERM)
    self._process.communicate(timeout=20)


def _free_port():
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]
