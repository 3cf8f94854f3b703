"""What every test shares: quiet TensorFlow, and slow tests off by default."""

import functools
import gc
import inspect
import os
import sys

import pytest

# Before any test module imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def pytest_addoption(parser):
  parser.addoption("--run_slow", action="store_true",
                   help="also run the tests marked slow")


# Folders whose tests take longest. They come first, so that in the end no
# process works on a long one alone.
_LONG = ("training", "serving", "search", "tools")


def pytest_collection_modifyitems(config, items):
  items.sort(key=lambda item: item.path.parent.name not in _LONG)
  if config.getoption("--run_slow"):
    return
  skip = pytest.mark.skip(reason="slow: give --run_slow")
  for item in items:
    if "slow" in item.keywords:
      item.add_marker(skip)


@pytest.fixture
def gin_file(tmp_path):
  """A function that writes a Gin file and returns its path."""
  def write(text, name="mine.gin"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)
  return write


@pytest.fixture
def own_stacks(monkeypatch):
  """Operations keep the stacks they are made in, as outside of tests."""
  from tensorflow.python.util import tf_stack
  monkeypatch.setattr(tf_stack, "extract_stack",
                      inspect.unwrap(tf_stack.extract_stack))


def pytest_runtest_setup():
  module = sys.modules.get("official.modeling.hyperparams.base_config")
  if module is not None:
    _remember_types(module.Config)
  module = sys.modules.get("tensorflow.python.util.tf_stack")
  if module is not None:
    _remember_stack(module)


@functools.cache
def _remember_types(config):
  """Model Garden asks Python for the types of a configuration's fields each
  time one is made, a sixth of a tiny run: here they are asked for once."""
  annotations = functools.cache(config._get_annotations.__func__)
  config._get_annotations = classmethod(lambda cls: dict(annotations(cls)))


@functools.cache
def _remember_stack(module):
  """TensorFlow keeps with each operation the Python stack it was made in, for
  its error messages. Pytest's is deep, and costs a twelfth of all tracing: here
  all have the first one. What is imported by now stays, and is not looked
  through for garbage again."""
  stack = module.extract_stack()
  module.extract_stack = functools.wraps(module.extract_stack)(
      lambda stacklevel=1: stack)
  gc.collect()
  gc.freeze()
