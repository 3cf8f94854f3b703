"""Trains on 1 replica, 2 replicas and 2 processes, and compares.

    python tools/check_replicas.py

One process on one logical CPU, one on two (`--num_replicas=2`), and two
workers on this machine (`TF_CONFIG`) take the same few steps of a tiny model,
with dropout. Ends non-zero unless losses, weights, optimizer slots and the
importance table agree up to rounding.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from typing import Sequence

import check_kill_resume

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from official_style.training import local_workers  # noqa: E402

_TIMEOUT = 900
# Beside one replica, which all are compared with.
WAYS = ("2 replicas", "2 processes")


def command(model_dir: str, data: str, steps: int) -> list[str]:
  return check_kill_resume.command(model_dir, data, steps) + [
      "--params_override=trainer.rendezvous_timeout=240"]


def start(arguments: list[str], environment=None) -> subprocess.Popen:
  return subprocess.Popen(
      arguments, cwd=_ROOT, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | (environment or {}))


def finish(*processes):
  """Waits for all; raises with the output of the first that failed."""
  try:
    for process in processes:
      _, said = process.communicate(timeout=_TIMEOUT)
      if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}:\n{said}")
  finally:
    for process in processes:
      if process.poll() is None:
        process.kill()
        process.wait()


def train_all(folder: str, steps: int, others: Sequence[str] = WAYS
              ) -> dict[str, str]:
  """Trains on 1 replica and in other ways; {way: run folder}."""
  os.makedirs(folder, exist_ok=True)
  data = os.path.join(folder, "corpus.txt")
  check_kill_resume.make_corpus(data)
  runs = {name: os.path.join(folder, name.replace(" ", "_"))
          for name in ("1 replica", *others)}
  alone = [start(command(runs["1 replica"], data, steps))]
  if "2 replicas" in runs:
    alone.append(start(command(runs["2 replicas"], data, steps)
                       + ["--num_replicas=2"]))
  finish(*alone)
  if "2 processes" in runs:
    finish(*(start(command(runs["2 processes"], data, steps), environment)
             for environment in local_workers.environments(2)))
  return runs


def tensors(run: str, step: int) -> dict:
  import tensorflow as tf
  reader = tf.train.load_checkpoint(
      os.path.join(run, "checkpoints", f"ckpt-{step}", "ckpt"))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def kind(name: str) -> str:
  if ".OPTIMIZER_SLOT" in name:
    return "optimizer slots"
  if "token_importance" in name:
    return "importance table"
  if "loss_scale" in name or "save_counter" in name or (
      "iter" in name or "global_step" in name or "decay" in name):
    return "counters"
  return "weights"


def differences(one: str, other: str, step: int) -> dict[str, float]:
  """{kind of number: largest absolute difference}.

  Raises:
    ValueError: if the two don't even hold the same numbers.
  """
  a, b = tensors(one, step), tensors(other, step)
  if a.keys() != b.keys():
    raise ValueError(f"not in both: {sorted(a.keys() ^ b.keys())}")
  largest = collections.defaultdict(float)
  for name, value in a.items():
    difference = abs(value.astype(float) - b[name].astype(float)).max(
        initial=0.0)
    largest[kind(name)] = max(largest[kind(name)], difference)
  lines = []
  for run in (one, other):
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as f:
      lines.append([json.loads(line) for line in f])
  if len(lines[0]) != len(lines[1]):
    raise ValueError("metrics.jsonl has another number of lines")
  for x, y in zip(*lines):
    name = f"{x['split']} loss"
    largest[name] = max(largest[name], abs(x["mlm_loss"] - y["mlm_loss"]))
    largest["tokens"] = max(
        largest["tokens"], abs(x.get("tokens", 0) - y.get("tokens", 0)))
  return dict(largest)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--steps", type=int, default=12)
  parser.add_argument("--tolerance", type=float, default=1e-5)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    runs = train_all(folder, args.steps)
    rows = {name: differences(runs["1 replica"], runs[name], args.steps)
            for name in WAYS}
  kinds = sorted(set().union(*rows.values()))
  print(f"largest difference to 1 replica after {args.steps} steps")
  print(f"{'':18}" + "".join(f"{name:>14}" for name in rows))
  for what in kinds:
    print(f"{what:18}" + "".join(f"{row[what]:14.2e}" for row in rows.values()))
  worst = max(value for row in rows.values() for value in row.values())
  agree = worst <= args.tolerance
  print(f"{'agree' if agree else 'DISAGREE'}: largest {worst:.2e}, tolerance "
        f"{args.tolerance:.0e}")
  return 0 if agree else 1


if __name__ == "__main__":
  sys.exit(main())
