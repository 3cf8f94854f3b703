"""Kills a run with SIGKILL again and again, and compares what comes out.

    python tools/check_kill_resume.py --kills=10

trains a tiny model undisturbed, then the same one killed at random moments
while starting, compiling, training, saving and evaluating, started with the
same command each time. Ends non-zero unless both leave the same bytes: every
tensor of the last checkpoint, the files of all checkpoints, metrics.jsonl.
"""

import argparse
import collections
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PHASES = ("starting", "compiling", "training", "saving", "evaluating")
_INTERVAL = 4
_TIMEOUT = 600


def make_corpus(path: str, documents: int = 80):
  """Writes sentences of made-up words, an empty line after each document."""
  draw = random.Random(0)
  words = [a + b + c for a in ("ba", "ke", "ti", "mo", "su", "ra", "ne", "li")
           for b in ("n", "l", "st", "nd", "k")
           for c in ("", "a", "o", "ing", "ed")]
  with open(path, "w", encoding="utf-8") as f:
    for _ in range(documents):
      for _ in range(6):
        f.write(" ".join(draw.choice(words) for _ in range(8)) + ".\n")
      f.write("\n")


def command(model_dir: str, data: str, steps: int) -> list[str]:
  """With dropout; what else decides about numbers is as it always is."""
  macros = dict(
      HIDDEN_SIZE=32, NUM_LAYERS=3, INNER_DIM=64, SEQ_LENGTH=32, BATCH_SIZE=8,
      TRAINED_VOCAB_SIZE=128, TRAIN_STEPS=steps, INTERVAL=_INTERVAL,
      VALIDATION_STEPS=2, LEARNING_RATE=1e-3, DROPOUT_RATE=0.1)
  return [sys.executable, os.path.join(_ROOT, "train.py"),
          "--experiment=token_drop_bert", f"--model_dir={model_dir}",
          f"--train_data={data}",
          # Windows of metrics that don't end where checkpoints do.
          "--params_override=trainer.log_interval=1,trainer.max_to_keep=3",
          ] + [f"--gin_params={k} = {v!r}" for k, v in macros.items()]


class Watched:
  """A run in a process of its own, and what it is doing."""

  def __init__(self, model_dir: str, data: str, steps: int):
    self._folder = model_dir
    self._lines_before = len(self._metrics())
    self.said = ""
    self._process = subprocess.Popen(
        command(model_dir, data, steps), cwd=_ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    self._reader = threading.Thread(target=self._read, daemon=True)
    self._reader.start()

  def _read(self):
    for line in self._process.stderr:
      self.said += line

  def _metrics(self) -> list[str]:
    try:
      with open(os.path.join(self._folder, "metrics.jsonl"),
                encoding="utf-8") as f:
        return f.read().splitlines()
    except FileNotFoundError:
      return []

  @property
  def running(self) -> bool:
    return self._process.poll() is None

  def phase(self) -> str:
    """What the process is doing, as far as one can tell from outside."""
    if "building the first step" not in self.said:
      return "starting"
    lines = self._metrics()
    if not self._began(lines):
      return "compiling"
    if self._saving():
      return "saving"
    last = json.loads(lines[-1]) if lines[-1].endswith("}") else {}
    if last.get("split") == "train" and last["step"] % _INTERVAL == 0:
      return "evaluating"
    return "training"

  def _began(self, lines) -> bool:
    """Whether it took a step: the log was cut back, and has grown since."""
    self._lines_before = min(self._lines_before, len(lines))
    return len(lines) > self._lines_before

  def _saving(self) -> bool:
    folder = os.path.join(self._folder, "checkpoints")
    return os.path.isdir(folder) and any(
        ".tmp-" in name for name in os.listdir(folder))

  def kill(self):
    self._process.send_signal(signal.SIGKILL)
    self.wait()

  def wait(self) -> int:
    code = self._process.wait(_TIMEOUT)
    self._reader.join()
    return code


@dataclasses.dataclass(frozen=True)
class Kill:
  """One kill: what for, in which phase it came, after how many seconds."""
  wanted: str
  phase: str
  seconds: float
  checkpoint: str


def undisturbed(model_dir: str, data: str, steps: int) -> float:
  """Trains without a kill; returns the seconds from start to first step."""
  start = time.monotonic()
  run = Watched(model_dir, data, steps)
  while run.running and run.phase() in ("starting", "compiling"):
    time.sleep(0.05)
  seconds = time.monotonic() - start
  if run.wait():
    raise RuntimeError(f"the undisturbed run failed:\n{run.said}")
  return seconds


def killed(model_dir: str, data: str, steps: int, phases, draw: random.Random,
           start_seconds: float, log=print) -> list[Kill]:
  """Trains with a kill in each of `phases`, then to the end."""
  kills = []
  for wanted in phases:
    start = time.monotonic()
    run = Watched(model_dir, data, steps)
    phase = _wait_for(run, wanted, draw, start_seconds)
    if not run.running:
      raise RuntimeError(
          f"the run ended by itself before it could be killed while {wanted}: "
          f"{run.said[-2000:]}")
    run.kill()
    pointer = os.path.join(model_dir, "checkpoints", "checkpoint")
    last = "none"
    if os.path.exists(pointer):
      with open(pointer, encoding="utf-8") as f:
        last = f.readline().split('"')[1].split("/")[0]
    kills.append(Kill(wanted, phase, time.monotonic() - start, last))
    log(f"kill {len(kills):2}  wanted {wanted:10}  came while {phase:10}  "
        f"after {kills[-1].seconds:5.1f} s  last checkpoint {last}")
  run = Watched(model_dir, data, steps)
  if run.wait():
    raise RuntimeError(f"the run failed after {len(kills)} kills:\n{run.said}")
  return kills


def _wait_for(run, wanted, draw, start_seconds) -> str:
  """Returns the phase to kill in, when it has come."""
  if wanted == "starting":
    # From the interpreter's first second to the reading of the checkpoint.
    until = time.monotonic() + draw.uniform(0.1, 0.5) * start_seconds
    while run.running and time.monotonic() < until and (
        run.phase() == "starting"):
      time.sleep(0.01)
    return run.phase()
  if wanted in ("compiling", "training"):
    while run.running and run.phase() in _PHASES[:_PHASES.index(wanted)]:
      time.sleep(0.01)
    time.sleep(draw.uniform(0, 1.0 if wanted == "compiling" else 0.5))
    while run.running and run.phase() in ("saving", "evaluating"):
      time.sleep(0.0005)
    return run.phase()
  times, inside = draw.randint(1, 3), False
  while run.running:
    phase = run.phase()
    # Saving takes milliseconds; what comes before it, many seconds.
    time.sleep(0.05 if phase in ("starting", "compiling") else 0.001)
    if phase == wanted and not inside:
      times -= 1
      if times == 0:
        return phase
    inside = phase == wanted
  return "ended"


def differences(one: str, other: str, steps: int) -> list[tuple[str, str]]:
  """(what, `same` or how they differ) for everything two runs leave."""
  rows = [_tensors(one, other, steps)]
  for name in ("metrics.jsonl", "params.yaml", "checkpoints/checkpoint",
               "checkpoints/best.json"):
    rows.append((name, _compare(one, other, name)))
  folders = [sorted(os.listdir(os.path.join(run, "checkpoints")))
             for run in (one, other)]
  rows.append(("names in checkpoints/",
               "same" if folders[0] == folders[1] else f"{folders}"))
  for name in (n for n in folders[0] if n.startswith("ckpt-")):
    for file in ("commit.json", "ckpt.index", "ckpt.data-00000-of-00001"):
      path = os.path.join("checkpoints", name, file)
      rows.append((path, _compare(one, other, path)))
  left = [os.path.join(folder, name) for folder, folders, files in os.walk(
      other) for name in folders + files if ".tmp-" in name]
  rows.append(("nothing named *.tmp-*", f"{left}" if left else "same"))
  return rows


def _tensors(one, other, steps):
  import tensorflow as tf  # here, so that the processes have the memory first
  readers = [tf.train.load_checkpoint(os.path.join(
      run, "checkpoints", f"ckpt-{steps}", "ckpt")) for run in (one, other)]
  names = [sorted(r.get_variable_to_shape_map()) for r in readers]
  if names[0] != names[1]:
    return "tensors", "different names"
  counts = collections.Counter()
  different = []
  for name in names[0]:
    a, b = (reader.get_tensor(name) for reader in readers)
    kind = ("optimizer slots" if ".OPTIMIZER_SLOT" in name else
            "importance" if "token_importance" in name else
            "object graph" if name == "_CHECKPOINTABLE_OBJECT_GRAPH" else
            "weights and counters")
    counts[kind] += 1
    same = a == b if isinstance(a, bytes) else a.tobytes() == b.tobytes()
    if not same:
      different.append(name)
  what = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
  return f"tensors of ckpt-{steps}: {what}", (
      f"different: {different}" if different else "same")


def _compare(one, other, name) -> str:
  contents = []
  for run in (one, other):
    try:
      with open(os.path.join(run, name), "rb") as f:
        contents.append(f.read())
    except FileNotFoundError:
      return f"missing in {run}"
  if contents[0] == contents[1]:
    return "same"
  return f"different ({len(contents[0])} and {len(contents[1])} bytes)"


def phases(kills: int, draw: random.Random) -> list[str]:
  """Every phase in turn, shuffled."""
  chosen = [_PHASES[i % len(_PHASES)] for i in range(kills)]
  draw.shuffle(chosen)
  return chosen


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--kills", type=int, default=10)
  parser.add_argument("--seed", type=int, default=0, help="of the moments")
  parser.add_argument("--steps", type=int, default=160)
  args = parser.parse_args()
  draw = random.Random(args.seed)
  with tempfile.TemporaryDirectory() as folder:
    data = os.path.join(folder, "corpus.txt")
    make_corpus(data)
    one, other = (os.path.join(folder, n) for n in ("undisturbed", "killed"))
    seconds = undisturbed(one, data, args.steps)
    print(f"undisturbed: {args.steps} steps, first step after {seconds:.1f} s",
          flush=True)
    kills = killed(other, data, args.steps, phases(args.kills, draw), draw,
                   seconds, log=lambda line: print(line, flush=True))
    rows = differences(one, other, args.steps)
  print(f"\n{'compared':72} result")
  for what, result in rows:
    print(f"{what:72} {result}")
  bad = [what for what, result in rows if result != "same"]
  came = collections.Counter(kill.phase for kill in kills)
  print(f"\n{len(kills)} kills ("
        + ", ".join(f"{came[p]} while {p}" for p in _PHASES if came[p])
        + f"): {'identical' if not bad else 'DIFFERENT: ' + ', '.join(bad)}")
  return 1 if bad else 0


if __name__ == "__main__":
  sys.exit(main())
