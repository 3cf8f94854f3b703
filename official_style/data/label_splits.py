"""Parts of a labelled set that are alike and share no text.

Which part a row is in depends on texts and labels only: not on its place in
the file, nor on a seed. So repetitions with several seeds evaluate on the same
rows.
"""

import collections
import fractions
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
  turns, texts = _turns(rows, stratify, groups)
  if texts < num_parts:
    raise UserError(f"{_file(rows)}: {texts} different texts can't be split "
                    f"into {num_parts} parts: give more rows, or fewer folds")
  return turns % num_parts


def held_out(rows, share: float, setting: str, stratify: bool,
             groups=None) -> np.ndarray:
  """bool[rows]: which ones are in a share of the texts, rounded up.

  Where the share is 1 / n, these are part 0 of n.

  Args:
    rows, stratify, groups: see `parts_of`.
    share: above 0 and at most a half.
    setting: the flag that gave it.

  Raises:
    UserError: if the share is less than one text.
  """
  # As it was written: a sum of binary fractions is a little above or below.
  exact = fractions.Fraction(share).limit_denominator(10**6)
  turns, texts = _turns(rows, stratify, groups)
  if texts * exact < 1:
    raise UserError(f"{_file(rows)}: {texts} different texts: {setting}="
                    f"{share} of them is less than one: give more rows, or a "
                    "larger share")
  # Of the first t turns, the share of t are held out, rounded up.
  up, down = exact.numerator, exact.denominator
  return -(-(turns + 1) * up // down) > -(-turns * up // down)


def _turns(rows, stratify, groups) -> tuple[np.ndarray, int]:
  """int64[rows], a number from 0 for each text, and how many there are.

  The texts of a label follow each other, in an order of chance.
  """
  groups = groups or _texts(rows)
  label_of = {}
  for row, group in zip(rows, groups):
    label_of.setdefault(group, row.label if stratify else "")
  by_label = collections.defaultdict(list)
  for group, label in label_of.items():
    by_label[label].append(group)
  # Each label goes on where the last one stopped, so that small classes don't
  # all land in the first parts.
  order = [group for label in sorted(by_label, key=str)
           for group in sorted(by_label[label], key=_digest)]
  turn = {group: number for number, group in enumerate(order)}
  return np.array([turn[group] for group in groups], np.int64), len(order)


def _file(rows) -> str:
  return rows[0].path if rows else "no rows"


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
