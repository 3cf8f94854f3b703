"""Programs that know nothing of this one, to ask an export as others would."""

import json
import os
import shutil
import subprocess
import sys

# What a stranger can't import.
BLOCKED = ("official_style", "official", "tf_keras", "keras",
           "tensorflow_text")
_SECONDS = 900


def ask(script: str, request: dict, place: str) -> dict:
  """Runs a script from a copy of it, in an isolated process.

  Args:
    script: name of a file beside this one, which reads a request and writes an
      answer; `tensor_json.py` is copied with it.
    request: what `json` can write.
    place: a folder for the copies, which the process works in.

  Returns:
    Its answer; or an `error`, in one line.
  """
  here = os.path.dirname(os.path.abspath(__file__))
  for name in (script, "tensor_json.py"):
    shutil.copy(os.path.join(here, name), place)
  paths = [os.path.join(place, f"{script}.{part}.json")
           for part in ("request", "answer")]
  with open(paths[0], "w", encoding="utf-8") as f:
    json.dump(request, f)
  try:
    done = subprocess.run(
        [sys.executable, "-I", os.path.join(place, script), *paths],
        cwd=place, capture_output=True, text=True, timeout=_SECONDS,
        check=False)
  except subprocess.TimeoutExpired:
    return dict(error=f"no answer after {_SECONDS} s")
  if done.returncode:
    last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
    return dict(error=f"exit code {done.returncode}: {''.join(last)[:400]}")
  with open(paths[1], encoding="utf-8") as f:
    return json.load(f)
