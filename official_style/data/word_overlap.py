"""How much of an answer another one says: F1 over words.

As the programs that score SQuAD (https://aclanthology.org/D16-1264) and ReCoRD
(https://arxiv.org/abs/1810.12885) count it: case, punctuation of ASCII and
English articles don't count, words do as often as they occur.
"""

import collections
import re
import string

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def words(text: str) -> list[str]:
  """The words that count."""
  return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def f1(text: str, answer: str) -> float:
  """From 0, no word in common, to 1; of texts without words 0."""
  ours, theirs = words(text), words(answer)
  common = sum((collections.Counter(ours) & collections.Counter(theirs))
               .values())
  return 2 * common / (len(ours) + len(theirs)) if common else 0.0
