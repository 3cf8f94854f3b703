"""The command that builds shards: processes, kills, and what it prints."""

import importlib.util
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from official_style.data.vocabulary import Vocabulary
from tests.reference import byte_pairs

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "build_pretraining_data.py"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
          *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghij")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("corpus")
  (path / "vocab.txt").write_text("".join(f"{t}\n" for t in TOKENS))
  write_corpus(path / "corpus.txt", 600_000)
  build(path, "whole")
  return path


def write_corpus(path, size, seed=0):
  draw = random.Random(seed)
  with open(path, "w", encoding="utf-8") as file:
    while file.tell() < size:
      words = ["".join(draw.choices("abcdefghij", k=draw.randint(1, 6)))
               for _ in range(40)]
      file.write(" ".join(words) + "\n" * draw.choice([1, 2]))


def command(folder, out, *more):
  return [sys.executable, str(TOOL), f"--input={folder / 'corpus.txt'}",
          f"--vocab_file={folder / 'vocab.txt'}", "--seq_length=32",
          f"--output_dir={folder / out}", "--shard_megabytes=0.02",
          "--eval_share=0.1", "--num_workers=1", *more]


def build(folder, out, *more, code=0):
  done = subprocess.run(command(folder, out, *more), text=True,
                        capture_output=True, timeout=120)
  assert done.returncode == code, done.stderr
  return done.stderr


def files(folder):
  return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_any_number_of_workers_writes_the_same_bytes(folder):
  said = build(folder, "three", "--num_workers=3")
  assert files(folder / "three") == files(folder / "whole")
  assert len(files(folder / "three")) > 40
  assert "train: " in said and "shards of 0.6 MB of text" in said


@pytest.mark.parametrize("workers, first", [(1, 3), (2, 6)])
def test_a_killed_build_goes_on_to_the_same_bytes(folder, workers, first):
  out = f"killed{workers}"
  partial = folder / f"{out}.partial"
  for wanted in (first, first + 9):
    process = subprocess.Popen(
        command(folder, out, f"--num_workers={workers}"),
        stderr=subprocess.DEVNULL)
    facts = partial / "facts"
    deadline = time.monotonic() + 60
    while (not facts.is_dir() or len(finished(facts)) < wanted) and (
        time.monotonic() < deadline):
      time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / out).exists()
  kept = {name: (partial / "data" / name).stat().st_ino
          for name in os.listdir(partial / "data") if "tmp" not in name}
  said = build(folder, out, f"--num_workers={workers}")
  assert "going on, " in said
  assert files(folder / out) == files(folder / "whole")
  inodes = {name: (folder / out / name).stat().st_ino for name in kept}
  # The last ones may lack their facts, and those are built again.
  assert sum(inodes[name] == kept[name] for name in kept) >= first
  assert not partial.exists()


def finished(facts):
  return [name for name in os.listdir(facts) if name.endswith(".json")]


def test_mistakes_are_told_in_one_line(folder, tmp_path):
  said = build(folder, "whole", "--seq_length=64", code=2)
  assert said.count("\n") == 1 and "seq_length differ" in said
  said = build(folder, "new", f"--input={tmp_path}", code=2)
  assert said.count("\n") == 1 and "no .txt" in said
  said = build(folder, "new", "--vocab_file=nowhere.txt", code=2)
  assert said.count("\n") == 1 and "nowhere.txt" in said
  assert not (folder / "new").exists()


def test_a_finished_build_says_so(folder):
  assert "complete already" in build(folder, "whole")


def test_no_worker_loads_tensorflow():
  code = ("import sys\n"
          "from official_style.data import shard_workers, sharded_corpus\n"
          "assert 'tensorflow' not in sys.modules, 'loaded'")
  subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.skipif(not importlib.util.find_spec("apache_beam"),
                    reason="apache-beam is not installed")
def test_beam_writes_the_same_bytes(folder):
  build(folder, "beam", "--runner=beam")
  assert files(folder / "beam") == files(folder / "whole")
  assert not (folder / "beam.partial").exists()


@pytest.mark.slow
def test_a_gigabyte_of_text_takes_bounded_memory(folder, tmp_path):
  """All processes together, with enough words to fill every table."""
  (tmp_path / "vocab.txt").write_bytes((folder / "vocab.txt").read_bytes())
  draw = random.Random(0)
  common = [" ".join("".join(draw.choices("abcdefghij", k=1 + i % 9))
                     for i in range(200)) for _ in range(1000)]
  with open(tmp_path / "corpus.txt", "w", encoding="utf-8") as file:
    for number in range(1_000_000):
      # Ten new words a row: ten million in all.
      new = " ".join(f"x{number}{letter}" for letter in "abcdefghij")
      file.write(draw.choice(common) + f" {new}\n" + "\n" * (number % 5 == 0))
  process = subprocess.Popen(command(
      tmp_path, "out", "--num_workers=2", "--shard_megabytes=32"))
  most = 0
  while process.poll() is None:
    most = max(most, resident_bytes(process.pid))
    time.sleep(0.1)
  assert process.returncode == 0
  print(f"at most {most / 1e6:.0f} MB")
  assert most < 1.5e9


def resident_bytes(pid):
  """Resident memory of a process and its children."""
  total = 0
  for entry in pathlib.Path("/proc").glob("[0-9]*"):
    try:
      parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
      if pid in (int(entry.name), parent):
        total += int((entry / "statm").read_text().split()[1]) * 4096
    except (OSError, ValueError):
      continue
  return total


def test_byte_pairs_are_cut_by_any_number_of_workers(folder):
  tokens, merges = byte_pairs.made_of(["abc", "ba", "jig"])
  vocab = byte_pairs.write(folder / "bpe", tokens, merges)
  for out, workers in (("bpe1", 1), ("bpe2", 2)):
    build(folder, out, f"--vocab_file={vocab}", f"--num_workers={workers}")
  assert files(folder / "bpe1") == files(folder / "bpe2")
  manifest = json.loads((folder / "bpe1" / "manifest.json").read_text())
  assert manifest["splits"]["train"]["tokens"] > 1e5
  assert manifest["splits"]["train"]["unknown_tokens"] == 0
  # What training names with --vocab_file, complete with its merges.
  saved = Vocabulary.load(folder / "bpe1" / "vocab.txt")
  assert (saved.tokens, saved.merges) == (tokens, merges)
