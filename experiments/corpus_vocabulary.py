"""The vocabulary of a corpus, made once for all runs of an experiment."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def made(corpus: str, runs: pathlib.Path) -> str:
  """8,000 WordPieces in the folder of the runs; returns their file."""
  runs.mkdir(parents=True, exist_ok=True)
  file = runs / "vocab.txt"
  if not file.exists():
    subprocess.run(
        [sys.executable, "tools/build_vocab.py", f"--input={corpus}",
         f"--output={file}", "--size=8000"], cwd=ROOT, check=True)
  return str(file)
