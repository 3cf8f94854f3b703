"""Parts of a labelled set that are alike and share no text.

Which part a row is in depends on texts and labels only: not on its place in
the file, nor on a seed. So repetitions with several seeds evaluate on the same
rows.

Pairs that have one text in common stay together, as the hypotheses of one
premise do. Where that would chain too many rows to each other for parts of the
size asked for (a hypothesis that says yes may follow any premise), only those
with the same first text do, or with the same second, or with both.
"""

import collections
import fractions
import hashlib

import numpy as np

from official_style.errors import UserError

# Texts of a pair that may tie rows to each other; the first that works is used.
_TIES = (slice(None), slice(0, 1), slice(1, 2))


def parts_of(rows, num_parts: int, stratify: bool, groups=None) -> np.ndarray:
  """int64[rows]: the part of each row, in [0, num_parts).

  Args:
    rows: `LabelledRow`s.
    num_parts: how many parts, about equal in size.
    stratify: whether each part gets its share of every label.
    groups: what stays together, one str a row; None is rows that share texts,
      see above, and those of one line, where that holds several.

  Raises:
    UserError: if there are fewer different texts than parts.
  """
  wholes = groups or _texts(rows)
  texts = len(set(wholes))
  if texts < num_parts:
    raise UserError(f"{_file(rows)}: {texts} different texts can't be split "
                    f"into {num_parts} parts: give more rows, or fewer folds")
  for turns in _orders(rows, wholes, stratify, groups is None):
    parts = turns % num_parts
    if _is_near(parts, turns, wholes, [1 / num_parts] * num_parts):
      break
  return parts


def held_out(rows, share: float, setting: str, stratify: bool,
             groups=None) -> np.ndarray:
  """bool[rows]: which ones are in a share of the texts, rounded up.

  Where the share is 1 / n, these are part 0 of n, if no rows are tied.

  Args:
    rows, stratify, groups: see `parts_of`.
    share: above 0 and at most a half.
    setting: the flag that gave it.

  Raises:
    UserError: if the share is less than one text.
  """
  # As it was written: a sum of binary fractions is a little above or below.
  exact = fractions.Fraction(share).limit_denominator(10**6)
  wholes = groups or _texts(rows)
  texts = len(set(wholes))
  if texts * exact < 1:
    raise UserError(f"{_file(rows)}: {texts} different texts: {setting}="
                    f"{share} of them is less than one: give more rows, or a "
                    "larger share")
  up, down = exact.numerator, exact.denominator
  for turns in _orders(rows, wholes, stratify, groups is None):
    # Of the first t turns, the share of t are held out, rounded up.
    held = -(-(turns + 1) * up // down) > -(-turns * up // down)
    if _is_near(held.astype(int), turns, wholes, [1 - share, share]):
      break
  return held


def in_common(inputs, others) -> str:
  """How many rows have a text that others have too, after `3 rows`.

  Args:
    inputs, others: those of `LabelledRow`s.
  """
  known = {text for row in others for texts in row for text in texts}
  count = sum(any(text in known for texts in row for text in texts)
              for row in inputs)
  if not count:
    return " that share no text with the rest"
  return f", {count:,} of them with a text that the rest has too"


def _orders(rows, wholes, stratify, ties):
  """Yields int64[rows], a number from 0 for what stays together.

  First where rows of pairs that share one text do, last where only those of
  one whole do; only the last where there are to be no ties.
  """
  for places in _TIES if ties else ():
    yield _turns(rows, wholes, _tied(rows, wholes, places), stratify)
  yield _turns(rows, wholes, wholes, stratify)


def _turns(rows, wholes, groups, stratify) -> np.ndarray:
  """int64[rows], a number from 0 for each group.

  The groups of a label follow each other, those of one size in an order of
  chance.
  """
  label_of, inside = {}, collections.defaultdict(set)
  for row, whole, group in zip(rows, wholes, groups):
    inside[group].add(whole)
    if whole == group:
      label_of.setdefault(group, row.label if stratify else "")
  by_label = collections.defaultdict(list)
  for group, label in label_of.items():
    by_label[label].append(group)
  # Each label goes on where the last one stopped, so that small classes don't
  # all land in the first parts.
  order = [group for label in sorted(by_label, key=str) for group in sorted(
      by_label[label], key=lambda group: (len(inside[group]), _digest(group)))]
  turn = {group: number for number, group in enumerate(order)}
  return np.array([turn[group] for group in groups], np.int64)


def _is_near(parts, turns, wholes, shares) -> bool:
  """Whether parts are those shares of the different wholes, give or take half.

  And no turn is more than any part could take: that part would have none of the
  rows that are most alike.
  """
  one_each = list({whole: i for i, whole in enumerate(wholes)}.values())
  sizes = np.bincount(parts[one_each], minlength=len(shares))
  wanted = np.ceil(len(one_each) * np.array(shares))
  most = np.maximum(sizes, np.bincount(turns[one_each]).max())
  return bool((0.5 * wanted <= sizes).all() and (most <= 1.5 * wanted).all())


def _tied(rows, wholes, places) -> list[str]:
  """Of each row the least of the wholes that it is tied to, by any chain.

  Choices aren't ties, what is asked is: many a question has the choices yes
  and no.
  """
  above, first = {whole: whole for whole in wholes}, {}

  def top(one):
    while above[one] != one:
      above[one] = one = above[above[one]]
    return one

  for row, whole in zip(rows, wholes):
    texts = row.inputs[0]
    for text in texts[places] if len(row.inputs) == 1 else texts[:-1]:
      ends = top(whole), top(first.setdefault(text, whole))
      above[max(ends)] = min(ends)
  return [top(whole) for whole in wholes]


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
