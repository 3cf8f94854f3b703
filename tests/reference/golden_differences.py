"""Golden strings to which ours gives other ids than Hugging Face's tokenizer.

Written down once: tests compare it with what differs, and with the page.
"""

from typing import NamedTuple

_BOTH = ("host", "graph")
_WORD_PIECES = ("uncased", "cased")


class Difference(NamedTuple):
  """Strings that differ for one reason.

  Attributes:
    texts: the strings.
    kinds: vocabularies, of `golden_tokens.KINDS`.
    places: "host" is training and scoring, "graph" an export.
    theirs, ours: what becomes of them.
  """
  texts: tuple
  kinds: tuple
  places: tuple
  theirs: str
  ours: str


LISTED = (
    Difference(
        ("[MASK]", "[CLS] a [SEP]", "[SEP]", "[PAD]", "[UNK]", "a[MASK]b",
         "[[MASK]]", "[MASK]."), _WORD_PIECES, _BOTH,
        "the special token",
        "text like any other: nobody who writes a text can end it early or "
        "hide words in it"),
    Difference(
        ("<s>", "</s>", "<mask>", "a <mask> b", "<pad>", "<unk>"), ("pairs",),
        _BOTH, "the special token", "text like any other, as above"),
    Difference(
        ("\ud800", "a\udfffb", "good \udcff film", "\ud83d", "\ude00\ud83d"),
        (*_WORD_PIECES, "pairs"), _BOTH,
        "refused with an exception",
        "a lone surrogate, which UTF-8 can't hold, is read as a question mark"),
    Difference(
        ("a\u302e\U0001d165",), ("uncased",), _BOTH,
        "marks of a width of their own are sorted by their class",
        "they stay in their order"),
)


def of(kind: str, place: str) -> set:
  """The strings that differ with a vocabulary at a place."""
  return {text for one in LISTED for text in one.texts
          if kind in one.kinds and place in one.places}


def table() -> str:
  """The list for the page."""
  lines = ["| string | vocabulary | where | Hugging Face | ours |",
           "|---|---|---|---|---|"]
  for one in LISTED:
    for text in one.texts:
      lines.append(f"| `{ascii(text)[1:-1]}` | {', '.join(one.kinds)} | "
                   f"{' and '.join(one.places)} | {one.theirs} | {one.ours} |")
  return "\n".join(lines)
