"""Settings that TensorFlow reads from the environment, once, when imported.

Call `prepare()` before anything imports TensorFlow. What the user has set
already stays.
"""

import glob
import os


def prepare():
  """Quiet, and oneDNN's kernels on CPUs that gain from them."""
  # Where there is no GPU, TensorFlow reports that as an error of CUDA's.
  has_gpu = bool(glob.glob("/dev/nvidia[0-9]*"))
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if has_gpu else "3")
  # TensorFlow takes oneDNN by itself only on CPUs with VNNI or newer. From
  # AVX2 on its attention products are 3 to 4 times faster and its softmax 2.
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
  # TensorFlow loads a Keras at its import, by default one that nothing here
  # uses: two seconds of every start.
  os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def settings() -> dict[str, str]:
  """What was chosen here and decides the last bits of a result."""
  name = "TF_ENABLE_ONEDNN_OPTS"
  return {name: os.environ.get(name, "")}
