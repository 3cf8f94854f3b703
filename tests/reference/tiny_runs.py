"""Whole pretraining runs, seconds long, through the program's front door."""

import importlib
import json
import os
import random
import re
import signal
import subprocess
import sys

import tensorflow as tf
import tf_keras
from absl import flags as absl_flags

from official_style import train
from official_style.training import trainer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "train.py")
_SYLLABLES = ("ba", "ke", "ti", "mo", "su", "ra", "ne", "li")

_GIN = dict(HIDDEN_SIZE=16, NUM_LAYERS=3, INNER_DIM=32, SEQ_LENGTH=16,
            BATCH_SIZE=8, TRAINED_VOCAB_SIZE=128, VALIDATION_STEPS=2,
            TRAIN_STEPS=8, INTERVAL=4, LEARNING_RATE=1e-3, DROPOUT_RATE=0.1)
_PARAMS = {"trainer.log_interval": 2}


def text(documents=60, seed=0) -> str:
  """Sentences of made-up words, an empty line after each document."""
  words = [a + b + c for a in _SYLLABLES for b in ("n", "l", "st", "nd", "k")
           for c in ("", "a", "o", "ing", "ed")]
  draw = random.Random(seed)
  return "\n".join("".join(
      " ".join(draw.choice(words) for _ in range(8)) + ".\n"
      for _ in range(6)) for _ in range(documents))


def corpus(folder, documents=60, seed=0) -> str:
  path = os.path.join(folder, "corpus.txt")
  with open(path, "w", encoding="utf-8") as f:
    f.write(text(documents, seed))
  return path


def flags(model_dir, data, *more, params=None, **gin) -> list[str]:
  """The arguments of a tiny run; `gin` are macros, `params` dotted keys."""
  return arguments("token_drop_bert", model_dir, data, more,
                   _PARAMS | (params or {}), _GIN | gin)


def arguments(experiment, model_dir, data, more, params, gin) -> list[str]:
  """The arguments of any run."""
  return ["train.py", f"--experiment={experiment}", f"--model_dir={model_dir}",
          *([f"--train_data={data}"] if data else []),
          *(f"--gin_params={name} = {value!r}" for name, value in gin.items()),
          *(f"--params_override={name}={value}"
            for name, value in params.items()), *more]


def run(*args, **kwargs) -> int:
  """Runs in this process; returns the exit code."""
  return run_here(flags(*args, **kwargs))


def run_here(command) -> int:
  """Runs these arguments in this process."""
  # Names of layers count up in a process, and are part of a checkpoint.
  tf_keras.backend.clear_session()
  return train.main(command)


def start(*args, env=None, **kwargs) -> subprocess.Popen:
  """Starts a process; its standard error is its live line."""
  return subprocess.Popen(
      [sys.executable, PROGRAM, *flags(*args, **kwargs)[1:]], cwd=ROOT,
      env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | (env or {}), text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, timeout=240) -> tuple[int, str]:
  """Exit code and standard error without TensorFlow's own lines."""
  try:
    _, said = process.communicate(timeout=timeout)
  finally:
    if process.poll() is None:
      process.send_signal(signal.SIGKILL)
      process.wait()
  return process.returncode, "".join(
      line for line in said.splitlines(keepends=True)
      if not re.match(r"^(\d{4}-|[WEI]0000|WARNING: All log)", line))


def metrics(model_dir, split=None) -> list[dict]:
  with open(os.path.join(model_dir, "metrics.jsonl"), encoding="utf-8") as f:
    lines = [json.loads(line) for line in f]
  return [line for line in lines if split in (None, line["split"])]


def read(*path) -> bytes:
  with open(os.path.join(*path), "rb") as f:
    return f.read()


def tensors(model_dir, step) -> dict:
  """Every array of a checkpoint, by its key."""
  prefix = os.path.join(model_dir, "checkpoints", f"ckpt-{step}", "ckpt")
  reader = tf.train.load_checkpoint(prefix)
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def tell_to_stop(
    monkeypatch, step, where="_step", signals=(signal.SIGTERM,)):
  """A trainer of this process is told to stop before that step's `where`."""
  method = getattr(trainer.Trainer, where)

  def told(self, state, *args):
    if state.step == step:
      for number in signals:
        signal.raise_signal(number)
    return method(self, state, *args)

  monkeypatch.setattr(trainer.Trainer, where, told)


def assert_same_run(one, other, step):
  """Final checkpoint and metrics of two runs are the same bytes."""
  lines = [read(run, "metrics.jsonl").splitlines() for run in (one, other)]
  assert len(lines[0]) == len(lines[1]), lines
  for a, b in zip(*lines):
    assert a == b, (a, b)
  for name in ("commit.json", "ckpt.index", "ckpt.data-00000-of-00001"):
    path = ("checkpoints", f"ckpt-{step}", name)
    assert read(one, *path) == read(other, *path), name


def unfinished(model_dir) -> list[str]:
  """What a killed process left under a temporary name."""
  return [os.path.join(folder, name)
          for folder, folders, files in os.walk(model_dir)
          for name in folders + files if ".tmp-" in name]


def run_absl_tool(name, *arguments) -> int:
  """Runs a script in tools/ here, and leaves none of its flags behind."""
  module = tool(name)
  try:
    absl_flags.FLAGS.unparse_flags()
    return module.main(absl_flags.FLAGS([f"{name}.py", *arguments]))
  finally:
    absl_flags.FLAGS.unparse_flags()
    own = absl_flags.FLAGS.flags_by_module_dict().get(name, [])
    absl_flags.FLAGS.remove_flag_values([flag.name for flag in own])
    del sys.modules[name]


def tool(name):
  """The module of a script in tools/, which finds its neighbours."""
  folder = os.path.join(ROOT, "tools")
  if folder not in sys.path:
    sys.path.append(folder)
  return importlib.import_module(name)
