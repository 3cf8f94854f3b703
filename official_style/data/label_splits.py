"""Parts of a labelled set that are alike and share no text.

Which part a row is in depends on its text and label only: not on its place in
the file, nor on a seed. So repetitions with several seeds evaluate on the same
rows, and a row added later moves few others.
"""

import collections
import hashlib

import numpy as np

from official_style.errors import UserError


def parts_of(rows, num_parts: int, stratify: bool, groups=None) -> np.ndarray:
  """int64[rows]: the part of each row, in [0, num_parts).

  Args:
    rows: `LabelledRow`s.
    num_parts: how many parts, about equal in size.
    stratify: whether each part gets its share of every label.
    groups: what stays together, one str a row; the row's texts if None, or
      those of the first row of its line, where that holds several.

  Raises:
    UserError: if there are fewer different texts than parts.
  """
  groups = groups or _texts(rows)
  label_of = {}
  for row, group in zip(rows, groups):
    label_of.setdefault(group, row.label if stratify else "")
  if len(label_of) < num_parts:
    raise UserError(f"{rows[0].path if rows else 'no rows'}: {len(label_of)} "
                    f"different texts can't be split into {num_parts} parts: "
                    "give more rows, or fewer folds")
  by_label = collections.defaultdict(list)
  for group, label in label_of.items():
    by_label[label].append(group)
  part, turn = {}, 0
  for label in sorted(by_label, key=str):
    # Goes on where the last label stopped, so that small classes don't all
    # land in the first parts.
    for group in sorted(by_label[label], key=_digest):
      part[group] = turn % num_parts
      turn += 1
  return np.array([part[group] for group in groups], np.int64)


def _digest(group: str):
  return hashlib.blake2b(
      group.encode("utf-8", "replace"), digest_size=16).digest(), group


def _texts(rows) -> list[str]:
  """Of each row; of rows of one passage those of the first."""
  first, found = {}, []
  for row in rows:
    texts = "\0".join(text for texts in row.inputs for text in texts)
    line, _, part = row.place.partition(".")
    found.append(first.setdefault((row.path, line), texts) if part else texts)
  return found
