"""Byte-level BPE by its definition, slowly, and small vocabularies of it.

Radford et al., 2019, "Language Models are Unsupervised Multitask Learners",
section 2.2.
"""

import json
import os
import re
import unicodedata

from official_style import vocabulary_files

ROBERTA = ("<s>", "<pad>", "</s>", "<unk>")
NASTY = [
    "", " ", "   ", "a", " a", "  a", "a ", "a  ", "the there", "  'there",
    "I've don't we'll 'S", "aaaaaaa", "a\tb\r\nc\n\n d", "\x00\x01\x7f",
    "\x1c\x85\xa0\u3000\u2028x", "caf\u00e9 \u00e9\u00e9", "e\u0301",
    "\u6f22\u5b57\u306e\u30c6\u30b9\u30c8", "\ud55c\uad6d\uc5b4",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u0939\u093f\u0928\u094d",
    "\u200f\u202e\ufeff\u200d", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea", "12 \u0661\u0662 \u00bd\u216b 3.14", "<mask> <s>",
    "[MASK]", "\u0120the", "x" * 3000, "... --- !?", "\ufffd",
    # Of the private use area, and the last there is.
    "\ue000\U0010ffff"]
# In Bort's integration test in transformers, without <s> and </s>.
GOLDEN = {"Schlo\u00df Nymphenburg in Munich is really nice!": [
    18077, 4082, 7804, 8606, 6195, 2457, 3321, 11, 10489, 16, 269, 2579, 328],
          "Hello world": [31414, 232]}
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
_CLASSES = re.compile("_?L+|_?N+|_?O+|[_S]+(?![^_S])|[_S]+")
_WHITE = set("\t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(i) for i in range(0x2000, 0x200b)}


def _kind(character):
  if character == " ":
    return "_"
  if character in _WHITE:
    return "S"
  kind = unicodedata.category(character)[0]
  return kind if kind in "LN" else "O"


def cut(text):
  """The pieces inside of which bytes are merged."""
  kinds, place, pieces = "".join(map(_kind, text)), 0, []
  while place < len(text):
    end = next((place + len(c) for c in _CONTRACTIONS
                if text.startswith(c, place)), None)
    end = end or _CLASSES.match(kinds, place).end()
    pieces.append(text[place:end])
    place = end
  return pieces


def encode(text, tokens, merges):
  """The ids of a text."""
  ids = {token: i for i, token in enumerate(tokens)}
  ranks = {pair: i for i, pair in enumerate(merges)}
  found = []
  for piece in cut(text):
    parts = [vocabulary_files.byte_characters()[b] for b in piece.encode()]
    while True:
      pairs = list(zip(parts, parts[1:]))
      best = min((p for p in pairs if p in ranks), key=ranks.get, default=None)
      if best is None:
        break
      merged, i = [], 0
      while i < len(parts):
        if tuple(parts[i:i + 2]) == best:
          merged.append("".join(best))
          i += 2
        else:
          merged.append(parts[i])
          i += 1
      parts = merged
    found += [ids[part] for part in parts]
  return found


def made_of(words):
  """Tokens and merges that have these words whole, with a space and without.

  Letters are merged from the left, and the space at last. Special tokens are
  where RoBERTa has them.
  """
  tokens, merges = list(vocabulary_files.byte_characters()), []
  pairs = [(word[:end - 1], word[end - 1]) for word in words
           for end in range(2, len(word) + 1)]
  for pair in pairs + [("\u0120", word) for word in words]:
    if "".join(pair) not in tokens:
      tokens.append("".join(pair))
      merges.append(pair)
  return (*ROBERTA, *tokens, "<mask>"), tuple(merges)


def write(folder, tokens, merges, names=("vocab.json", "merges.txt")) -> str:
  """Writes files as other projects have them; returns the folder."""
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, names[0]), "w", encoding="utf-8") as f:
    json.dump({token: i for i, token in enumerate(tokens)}, f)
  with open(os.path.join(folder, names[1]), "w", encoding="utf-8") as f:
    f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
  return str(folder)


# Doubled letters, two bytes of one character, a word that another begins with.
TINY = made_of(
    ["the", "there", "hat", "eat", "aa", "aaa", "\u00c3\u00a9", "12"])
