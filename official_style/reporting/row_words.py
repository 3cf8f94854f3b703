"""Which words of a text are at which places of a row of ids."""

import dataclasses
import unicodedata
from typing import Optional

from official_style.data import encoded_rows

SPECIAL, PUNCTUATION, STOP, RARE, OTHER = (
    "special", "punctuation", "stop", "rare", "other")
KINDS = (SPECIAL, PUNCTUATION, STOP, RARE, OTHER)
CONTENT = (RARE, OTHER)
# English only: of other languages every word counts as content.
_STOP_WORDS = frozenset("""
a about after all also an and any are as at be because been before but by can
could did do does for from had has have he her his how i if in into is it its
just may more most my no not of on one or other our out over she should so some
such than that the their them then there these they this those to under up us
was we were what when where which while who will with would you your""".split())


@dataclasses.dataclass(frozen=True)
class Word:
  """A word, or a punctuation mark.

  Attributes:
    text: as it is written.
    part: 0 of the first text, 1 of the second; None of a special token.
    start, end: where it is in its text.
    first, last: its pieces are at these places of the row, last excluded.
    kind: one of `KINDS`. `rare` is what the vocabulary has in pieces only;
      none is of bytes.
    after_space: whether something stood between it and the word before.
  """
  text: str
  part: Optional[int]
  start: int
  end: int
  first: int
  last: int
  kind: str
  after_space: bool = True

  @property
  def places(self) -> range:
    return range(self.first, self.last)


@dataclasses.dataclass(frozen=True)
class RowWords:
  """A row, word by word.

  Attributes:
    texts: one or two.
    words: those the model sees, special tokens among them, in order.
    num_tokens: places of the row that are no padding.
    num_cut: words that the row has no room for.
  """
  texts: tuple
  words: tuple
  num_tokens: int
  num_cut: int

  @property
  def written(self) -> list:
    """The words without special tokens."""
    return [word for word in self.words if word.kind != SPECIAL]

  def without(self, word: Word) -> tuple:
    """The texts without one of the words."""
    texts = list(self.texts)
    text = texts[word.part]
    texts[word.part] = text[:word.start] + " " + text[word.end:]
    return tuple(texts)


def of(texts, tokenizer, seq_length: int,
       pair_separators: int = 1) -> RowWords:
  """The words of a row as `EncodedRows` makes it.

  Args:
    texts: one, or a pair.
    tokenizer: what `tokenizer_of` gives.
    seq_length: places of the row.
    pair_separators: [SEP] between two texts.
  """
  found = [list(tokenizer.words(text)) for text in texts]
  counts = [sum(len(ids) for _, _, ids in words) for words in found]
  kept = encoded_rows.truncated_lengths(
      *(counts + [0])[:2], seq_length - encoded_rows.num_specials(
          len(texts), pair_separators))
  special = tokenizer.vocabulary.tokens.__getitem__
  # Where every word is in pieces, that says nothing.
  unknown = (None if tokenizer.vocabulary.is_bytes
             else tokenizer.vocabulary.unk_id)
  words = [_special(special(tokenizer.vocabulary.cls_id), 0)]
  place, num_cut = 1, 0
  for part, (text, pieces, room) in enumerate(zip(texts, found, kept)):
    limit, end_before = place + int(room), -1
    for start, end, ids in pieces:
      if place >= limit:
        num_cut += 1
        continue
      last = min(place + len(ids), limit)
      words.append(Word(
          text[start:end], part, start, end, place, last,
          _kind(text[start:end], ids, unknown), start > end_before))
      place, end_before = last, end
    for _ in range(pair_separators if part < len(texts) - 1 else 1):
      words.append(_special(special(tokenizer.vocabulary.sep_id), place))
      place += 1
  return RowWords(tuple(texts), tuple(words), place, num_cut)


def _special(name, place) -> Word:
  return Word(name, None, 0, 0, place, place + 1, SPECIAL)


def _kind(text, ids, unknown) -> str:
  categories = set(map(unicodedata.category, text))
  # "So" are pictures rather than marks.
  if not any(name[0] in "LN" or name == "So" for name in categories):
    return PUNCTUATION
  if text.lower() in _STOP_WORDS:
    return STOP
  if unknown is None:
    return OTHER
  return RARE if len(ids) > 1 or ids[0] == unknown else OTHER
