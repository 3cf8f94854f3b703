"""Which files a vocabulary is in, and what those of a byte-level BPE say.

    vocab.txt                       WordPieces, a token a line
    vocab.json    and merges.txt    byte-level BPE, as Hugging Face has it
    encoder.json  and vocab.bpe     the same, as GPT-2 has it
    vocab.txt     and vocab.merges.txt    the same, as runs of ours keep it

Imports no TensorFlow.
"""

import functools
import hashlib
import json
import os
import re
from typing import Optional

from official_style import files
from official_style.errors import UserError

# In a folder the first pair that is there wins.
_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_OWN = "vocab.txt"
# JSON can say what UTF-8 can't.
_SURROGATES = re.compile("[\ud800-\udfff]")
# A vocabulary of a million tokens has 10 MB.
MAX_BYTES = 64 << 20


def find(path: str) -> tuple[str, Optional[str]]:
  """The file of the tokens, and that of the merges; None for WordPieces.

  Args:
    path: a folder, or a file of tokens.

  Raises:
    UserError: for a folder without a vocabulary, or a byte-level BPE without
      its merges.
  """
  path = os.fspath(path)
  if os.path.isdir(path):
    for tokens, merges in _PAIRS:
      if os.path.exists(os.path.join(path, tokens)):
        return _beside(os.path.join(path, tokens))
    if os.path.exists(os.path.join(path, _OWN)):
      return find(os.path.join(path, _OWN))
    raise UserError(f"{path}: a folder with neither vocab.txt nor vocab.json "
                    "and merges.txt: give one that holds a vocabulary")
  if path.endswith(".json"):
    return _beside(path)
  if os.path.basename(path) in [merges for _, merges in _PAIRS]:
    raise UserError(f"{path}: merges without tokens: give the folder it is in, "
                    "or the vocab.json beside it")
  merges = merges_path(path)
  return path, merges if os.path.exists(merges) else None


def merges_path(path: str) -> str:
  """Where the merges of a `vocab.txt` of ours are."""
  return os.path.splitext(path)[0] + ".merges.txt"


def is_byte_bpe(path: str) -> bool:
  """Whether a path names a byte-level BPE; of what is not there, no."""
  return (os.path.exists(path) or os.path.islink(path)) and (
      find(path)[1] is not None)


def digest(path: str) -> str:
  """SHA-256 of a vocabulary; of a BPE the same in whichever files it is.

  Raises:
    UserError: if it can't be read.
  """
  tokens, merges = find(path)
  if merges is None:
    return hashlib.sha256(_read(tokens)).hexdigest()
  return byte_pairs_digest(*read_byte_pairs(tokens, merges))


def byte_pairs_digest(tokens, merges) -> str:
  """SHA-256 of a byte-level BPE."""
  return hashlib.sha256(
      token_lines(tokens) + b"\n" + merge_lines(merges)).hexdigest()


def token_lines(tokens) -> bytes:
  """A token a line."""
  return "".join(f"{token}\n" for token in tokens).encode("utf-8")


def merge_lines(merges) -> bytes:
  """A `merges.txt`."""
  return "".join(["#version: 0.2\n", *(f"{a} {b}\n" for a, b in merges)
                  ]).encode("utf-8")


def write_byte_pairs(folder: str, tokens, merges):
  """Writes `vocab.json` and `merges.txt` into a folder.

  Raises:
    OSError: if they can't be written.
  """
  files.write(os.path.join(folder, "merges.txt"), merge_lines(merges))
  files.write(os.path.join(folder, "vocab.json"), json.dumps(
      {token: i for i, token in enumerate(tokens)}, ensure_ascii=False))


def read_byte_pairs(tokens_path: str, merges_path: str):  # pylint: disable=redefined-outer-name
  """Reads a byte-level BPE.

  Args:
    tokens_path, merges_path: as `find` gives them.

  Returns:
    tokens: tuple[str] in id order, bytes written as `byte_characters` has it.
    merges: tuple of pairs of tokens, the first to be merged first.

  Raises:
    UserError: that names the file, and the line or token.
  """
  read = _json_tokens if tokens_path.endswith(".json") else _line_tokens
  tokens = read(tokens_path)
  known = set(tokens)
  missing = [byte for byte, c in enumerate(byte_characters())
             if c not in known]
  if missing:
    raise UserError(
        f"{tokens_path}: has no token for {len(missing)} of the 256 bytes, as "
        f"0x{missing[0]:02X}: not of a byte-level BPE, or a part of it is gone")
  merges = []
  for number, line in enumerate(_lines(merges_path), 1):
    if number == 1 and line.startswith("#version"):
      continue
    pair = tuple(line.split(" "))
    if len(pair) != 2 or not all(pair):
      raise UserError(f"{merges_path}:{number}: {line!r:.60} is not two tokens "
                      "with a space between them: fetch the file again")
    unknown = [t for t in (*pair, "".join(pair)) if t not in known]
    if unknown:
      raise UserError(f"{merges_path}:{number}: {unknown[0]!r:.60} is no token "
                      f"of {tokens_path}: the two are not of one vocabulary")
    merges.append(pair)
  return tokens, tuple(merges)


@functools.cache
def byte_characters() -> tuple[str, ...]:
  """The character that stands for each byte, GPT-2's table.

  Printable ones of Latin-1 stand for themselves, the others, in order, are
  those from U+0100 on: a space is U+0120.
  """
  own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
  characters, others = [], 0
  for byte in range(256):
    characters.append(chr(byte) if byte in own else chr(0x100 + others))
    others += byte not in own
  return tuple(characters)


def _beside(tokens: str) -> tuple[str, str]:
  """A .json of tokens with the merges beside it."""
  if not os.path.exists(tokens):
    _read(tokens)
  folder, name = os.path.split(tokens)
  usual = dict(_PAIRS).get(name)
  names = [usual] if usual else [merges for _, merges in _PAIRS]
  for merges in names:
    if os.path.exists(os.path.join(folder, merges)):
      return tokens, os.path.join(folder, merges)
  raise UserError(f"{tokens}: has no {' or '.join(names)} beside it, without "
                  "which no text can be cut into its tokens: put it there")


def _json_tokens(path: str) -> tuple[str, ...]:
  try:
    ids = json.loads(_text(path))
    if not isinstance(ids, dict):
      raise ValueError("no object")
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: no JSON of tokens and their ids "
                    f"({str(error)[:80]}): fetch it again") from error
  odd = [token for token, i in ids.items() if type(i) is not int]
  if odd:
    raise UserError(f"{path}: the id of {odd[0]!r:.40} is "
                    f"{ids[odd[0]]!r:.40}: not a file of tokens and ids")
  halves = [token for token in ids if _SURROGATES.search(token)]
  if halves:
    raise UserError(f"{path}: {halves[0]!r:.60} holds half a character: fetch "
                    "it again")
  ordered = sorted(ids, key=ids.get)
  if [ids[token] for token in ordered] != list(range(len(ids))):
    raise UserError(f"{path}: the ids of its {len(ids):,} tokens are not 0 to "
                    f"{len(ids) - 1:,}, each once: fetch it again")
  return tuple(ordered)


def _line_tokens(path: str) -> tuple[str, ...]:
  return tuple(_lines(path))


def _lines(path: str) -> list[str]:
  # Not splitlines(): a token may hold U+0085.
  lines = [line.removesuffix("\r") for line in _text(path).split("\n")]
  while lines and not lines[-1]:
    lines.pop()
  return lines


def _text(path: str) -> str:
  try:
    return _read(path).decode("utf-8")
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8: fetch it again") from error


def check_size(path: str, content: bytes):
  """Refuses what was read of a file that is too large for a vocabulary."""
  if len(content) > MAX_BYTES:
    raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes, which no "
                    "vocabulary is: give another file")


def _read(path: str) -> bytes:
  try:
    with open(path, "rb") as f:
      content = f.read(MAX_BYTES + 1)
    check_size(path, content)
    return content
  except OSError as error:
    raise UserError(f"{path}: can't be read ({error.strerror}): check the "
                    "path") from error
