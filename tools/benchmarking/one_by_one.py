"""Answers texts one by one, as a program does that calls the model in a loop.

    python tools/benchmarking/one_by_one.py MODEL TEXTS.json ANSWERS.json

Calls `serving_default` with one text at a time. Loading is not timed, nor the
first texts, of every length there is.
"""

import json
import os
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)


def main(folder, texts_path, answers_path):
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  import tensorflow as tf
  import tensorflow_text as _  # noqa: F401
  with open(texts_path, encoding="utf-8") as f:
    texts = json.load(f)
  model = tf.saved_model.load(folder)
  function = model.signatures["serving_default"]
  by_length = sorted(texts, key=len)
  for text in by_length[::max(1, len(texts) // 16)]:
    function(text=tf.constant([text]))
  answers = []
  start = time.perf_counter()
  for text in texts:
    outputs = function(text=tf.constant([text]))
    answers.append(outputs["probabilities"].numpy()[0].tolist())
  seconds = time.perf_counter() - start
  with open(answers_path, "w", encoding="utf-8") as f:
    json.dump(dict(seconds=seconds, probabilities=answers), f)


if __name__ == "__main__":
  main(*sys.argv[1:])
