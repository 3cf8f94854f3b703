"""Loads a server with many clients, and looks at every answer.

    python tools/benchmark_serving.py --model_base_path=exports/bert \\
        --clients=32 --seconds=120 --malformed=0.01 --output=load.json

starts tools/serve.py in a process of its own and asks it by gRPC and REST, a
client in two each, questions whose answers the SavedModel gave here before; so
many of the requests are malformed in one of two dozen ways. It tells wrong
answers, failures, throughput and latency, whether the server is still the same
process, and what memory it held. --grpc and --rest ask servers that run
already instead, as the proxy of tools/deploy.
"""

import os
import re
import signal
import subprocess
import sys

from absl import flags
from absl import logging

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_PATH = flags.DEFINE_string(
    "model_base_path", None, "folder of a model whose signatures read text",
    required=True)
_NAME = flags.DEFINE_string(
    "model_name", None, "its name on the server; by default the folder's")
_CLIENTS = flags.DEFINE_integer("clients", 32, "at once", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 120.0, "how long", lower_bound=0.1)
_MALFORMED = flags.DEFINE_float(
    "malformed", 0.01, "share of requests that are none", lower_bound=0.0,
    upper_bound=1.0)
_QUESTIONS = flags.DEFINE_integer(
    "questions", 64, "different requests", lower_bound=1)
_ROWS = flags.DEFINE_integer(
    "rows", 4, "the most rows of a request", lower_bound=1)
_WORDS = flags.DEFINE_integer(
    "words", 40, "the most words of a text", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "of what is drawn")
_TRANSPORTS = flags.DEFINE_list(
    "transports", "grpc,rest", "grpc, rest or both")
_GRPC = flags.DEFINE_string("grpc", None, "host:port of a running server")
_REST = flags.DEFINE_string("rest", None, "host:port of a running server")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures")

_FAILED = 1


class _Server:
  """tools/serve.py in a process of its own."""

  def __init__(self, path, name, clients):
    self._process = subprocess.Popen(
        [sys.executable, os.path.join(_ROOT, "tools", "serve.py"),
         f"--model_base_path={path}", f"--model_name={name}", "--port=0",
         "--rest_api_port=0", f"--max_in_flight={2 * clients}"],
        stdout=subprocess.PIPE, text=True)
    self.addresses, said = {}, []
    for line in self._process.stdout:
      said.append(line)
      found = re.match(r"(REST  http://|gRPC  )([^/\s]+)", line)
      if found:
        self.addresses["rest" if "http" in found[1] else "grpc"] = found[2]
      if line.startswith("try"):
        break
    else:
      raise RuntimeError(f"no server: {''.join(said)}")
    self.memory_at_start = self.memory()

  def memory(self) -> int:
    """Bytes it holds; 0 where that can't be told."""
    try:
      with open(f"/proc/{self._process.pid}/status", encoding="utf-8") as f:
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
    except (OSError, TypeError):
      return 0

  def stop(self) -> dict:
    """Ends it; what there is to tell of it."""
    alive, memory = self._process.poll() is None, self.memory()
    self._process.send_signal(signal.SIGTERM)
    try:
      self._process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.communicate()
    return dict(alive_at_the_end=alive, exit_code=self._process.returncode,
                bytes_at_start=self.memory_at_start, bytes_at_end=memory)


def _latest(path) -> str:
  from official_style.errors import UserError
  from official_style.serving import export_manifest
  try:
    versions = export_manifest.versions(path)
  except OSError as error:
    raise UserError(f"--model_base_path={path}: can't be read "
                    f"({error.strerror})") from error
  if not versions:
    raise UserError(f"--model_base_path={path}: holds no version")
  return os.path.join(path, str(max(versions)))


def _questions(version):
  from benchmarking import serving_questions

  from official_style.errors import UserError
  infos = version.signature("").inputs
  if any(len(info.tensor_shape.dim) != 1 for info in infos.values()):
    raise UserError(f"{version.folder}: serving_default reads choices: give a "
                    "model that reads one text, or two, a row")
  with open(os.path.join(version.folder, "assets.extra", "vocab.txt"),
            encoding="utf-8") as f:
    words = [w for w in f.read().split() if w.isalpha()] or ["a"]
  return serving_questions.made(
      version, sorted(infos), _QUESTIONS.value, _ROWS.value, _WORDS.value,
      words, _SEED.value)


def _benchmark() -> int:
  from benchmarking import machine
  from benchmarking import report
  from benchmarking import serving_load

  from official_style import files
  from official_style.errors import UserError
  from official_style.serving.local_server import loaded_version
  if _OUTPUT.value:
    files.check_writable(_OUTPUT.value)
  name = _NAME.value or os.path.basename(os.path.abspath(_PATH.value))
  given = {key: flag.value for key, flag in (("grpc", _GRPC), ("rest", _REST))
           if flag.value}
  unknown = set(_TRANSPORTS.value) - {"grpc", "rest"}
  if unknown or not _TRANSPORTS.value:
    raise UserError(f"--transports={','.join(_TRANSPORTS.value)}: must be grpc,"
                    " rest, or both with a comma between")
  version = loaded_version.LoadedVersion(_latest(_PATH.value))
  questions = _questions(version)
  server = None if given else _Server(_PATH.value, name, _CLIENTS.value)
  addresses = given or {
      key: server.addresses[key] for key in _TRANSPORTS.value}
  try:
    rows = serving_load.run(serving_load.Load(
        addresses, name, questions, _CLIENTS.value, _SECONDS.value,
        _MALFORMED.value, _SEED.value))
  finally:
    facts = server.stop() if server else {}
  print("\n".join(serving_load.table(rows)))
  for problem in rows[-1]["examples"]:
    print("problem:", problem)
  if facts:
    print(f"server: alive {facts['alive_at_the_end']}, exit code "
          f"{facts['exit_code']}, {facts['bytes_at_start'] / 2**20:.0f} MiB at "
          f"the start, {facts['bytes_at_end'] / 2**20:.0f} at the end")
  if _OUTPUT.value:
    report.write(_OUTPUT.value, dict(
        settings=dict(
            clients=_CLIENTS.value, seconds=_SECONDS.value,
            malformed=_MALFORMED.value, questions=_QUESTIONS.value,
            rows=_ROWS.value, words=_WORDS.value, seed=_SEED.value,
            given=sorted(given)),
        results=rows, server=facts, machine=machine.describe(),
        versions=machine.versions(), revision=machine.revision(_ROOT)))
  good = serving_load.passed(rows) and (not facts or (
      facts["alive_at_the_end"] and facts["exit_code"] == 0))
  print("passed" if good else "FAILED")
  return 0 if good else _FAILED


def main(argv):
  """Returns the exit code: 0, 1 if an answer was wrong, 2 after a mistake."""
  del argv
  from official_style import command_end
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  logging.set_verbosity(logging.WARNING)
  return command_end.exit_code(_benchmark, resumes=False)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
