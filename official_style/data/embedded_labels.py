"""A labelled set that needs no download: which package is a text from?

Docstrings of the packages that are installed beside this one. The names of the
packages are hidden in the texts, so a model has to know what a package is
about. The set depends on what is installed, and on nothing else.
"""

import functools
import hashlib
import os
import re
import site
import sysconfig

from official_style.data import embedded_corpus
from official_style.data.labelled_row import LabelledRow
from official_style.errors import UserError

NUM_PACKAGES = 8
_TEXTS_A_PACKAGE = 500
_MAX_CHARACTERS = 1000
_MAX_TEXTS_A_FILE = 8
_HIDDEN = "package"
# What people import a package as says as much as its name.
_ALIASES = {"numpy": ("np",), "tensorflow": ("tf",), "pandas": ("pd",),
            "matplotlib": ("plt", "mpl"), "scipy": ("sp",),
            "sklearn": ("scikit",), "jax": ("jnp",), "tf_keras": ("keras",)}
_STANDARD_LIBRARY = "python"


def embedded_rows(roots=None, num_packages=NUM_PACKAGES):
  """The labelled set.

  Args:
    roots: folder -> label of its files, or None where each folder in it is a
      package, in place of the installed ones.
    num_packages: how many classes: those with the most source files.

  Returns:
    list of `LabelledRow`, whose path is the package's file, relative.

  Raises:
    UserError: if there are fewer than two packages with documentation.
  """
  if roots is None:
    # Asked for by every part of a program, and seconds each time.
    return list(_installed_rows(num_packages))
  return _rows(roots, num_packages)


@functools.cache
def _installed_rows(num_packages):
  return tuple(_rows(_installed_roots(), num_packages))


def _rows(roots, num_packages):
  files = _files_by_package(roots)
  largest = sorted(files, key=lambda name: (-len(files[name]), name))
  chosen = sorted(largest[:num_packages])
  hide = _hider(chosen)
  rows, seen = [], set()
  for name in chosen:
    rows += _rows_of(name, files[name], hide, seen)
  labels = {row.label for row in rows}
  if len(labels) < 2:
    raise UserError("the installed Python has no documentation of two packages "
                    "to tell apart: give labelled files with --train_data")
  return rows


def _installed_roots():
  """{folder: label}: the standard library, and where packages are."""
  paths = sysconfig.get_paths()
  roots = {os.path.realpath(paths["stdlib"]): _STANDARD_LIBRARY}
  for root in [*site.getsitepackages(), paths["purelib"], paths["platlib"]]:
    roots.setdefault(os.path.realpath(root), None)
  return {root: label for root, label in roots.items() if os.path.isdir(root)}


def _files_by_package(roots) -> dict:
  """{package: [(path, relative path)]}."""
  files = {}
  for root, label in roots.items():
    for path in embedded_corpus.source_files([root]):
      relative = os.path.relpath(path, root).replace(os.sep, "/")
      package, slash, _ = relative.partition("/")
      if label is not None or slash:
        files.setdefault(label or package, []).append((path, relative))
  return files


def _hider(names):
  """A function that takes the names of packages out of a text."""
  words = set(names) | {alias for name in names
                        for alias in _ALIASES.get(name, ())}
  # Inside longer words too, as in `TensorFlowError`, unless it is short.
  inside = [re.escape(w) for w in sorted(words) if len(w) > 3]
  alone = [re.escape(w) for w in sorted(words) if len(w) <= 3]
  # From the start of a word: else each of its letters would be tried.
  parts = ([rf"\b\w*(?:{'|'.join(inside)})\w*"] if inside else []) + (
      [rf"\b(?:{'|'.join(alone)})\b"] if alone else [])
  pattern = re.compile("|".join(parts), re.IGNORECASE)
  return lambda text: pattern.sub(_HIDDEN, text)


def _rows_of(name, files, hide, seen):
  """Texts of one package, of files all over it."""
  rows = []
  for path, relative in sorted(files, key=lambda file: _digest(file[1])):
    texts = embedded_corpus.new_texts(path, seen)
    for text in texts[:_MAX_TEXTS_A_FILE]:
      number = len(rows) + 1
      text = hide(text[:_MAX_CHARACTERS])
      rows.append(LabelledRow(((text,),), name, str(number), relative))
    if len(rows) >= _TEXTS_A_PACKAGE:
      break
  return rows[:_TEXTS_A_PACKAGE]


def _digest(text: str):
  return hashlib.blake2b(text.encode(), digest_size=8).digest(), text
