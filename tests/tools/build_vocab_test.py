"""The command that learns a vocabulary."""

import gzip
import pathlib
import subprocess
import sys

from official_style.data.vocabulary import Vocabulary

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = ("Straße Żółw żółw Ещё раз, и ещё раз. 東京 und die Straßen. Ich ging "
        "hinaus in den Garten, wo schon die Rosen blühten, rot und gelb.\n\n"
        ) * 50


def build(folder, *more, code=0):
  (folder / "text").mkdir(exist_ok=True)
  with gzip.open(folder / "text" / "c.txt.gz", "wt", encoding="utf-8") as file:
    file.write(TEXT)
  done = subprocess.run(
      [sys.executable, str(ROOT / "tools" / "build_vocab.py"),
       f"--input={folder / 'text'}", f"--output={folder / 'vocab.txt'}",
       "--size=128", *more], text=True, capture_output=True, timeout=120)
  assert done.returncode == code, done.stderr
  return done.stderr


def test_a_cased_vocabulary_of_any_language(tmp_path):
  said = build(tmp_path, "--lower_case=false")
  vocabulary = Vocabulary.load(str(tmp_path / "vocab.txt"))
  assert vocabulary.size == 128 and not vocabulary.lower_case
  assert {"Straßen", "Żółw", "東"} <= set(vocabulary.tokens)
  assert "128 tokens, case and accents kept" in said and "50 documents" in said


def test_flags_and_what_is_refused(tmp_path):
  said = build(tmp_path, "--allow_smaller", "--min_frequency=99999",
               "--sample_characters=1000")
  assert "sample: " in said and "lower case without accents" in said
  before = (tmp_path / "vocab.txt").read_bytes()
  longest = max(len(token.removeprefix(b"##").decode())
                for token in before.split()[5:])
  assert longest == 1
  said = build(tmp_path, code=2)
  assert said.count("\n") == 1 and "exists already" in said
  assert (tmp_path / "vocab.txt").read_bytes() == before
  (tmp_path / "vocab.txt").unlink()
  said = build(tmp_path, "--size=5000", code=2)
  assert "--size=5000: " in said and "is the most" in said
  assert not (tmp_path / "vocab.txt").exists()
  said = build(tmp_path, f"--output={tmp_path / 'new' / 'vocab.txt'}", code=2)
  assert "there is no folder" in said and "text: " not in said
