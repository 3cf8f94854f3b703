"""The vocabulary: which ids there are and which of them are special.

Imports no TensorFlow. Letter: v vocabulary size.
"""

import functools
import hashlib
import os

import numpy as np

from official_style import files
from official_style import vocabulary_files
from official_style.data import accents
from official_style.errors import UserError

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SPECIAL_FAMILIES = (
    BERT_SPECIAL_TOKENS, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"))
_ROBERTA_ORDER = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
# Bytes come after the special tokens; their names are those of other projects.
FIRST_BYTE = len(BERT_SPECIAL_TOKENS)
_BYTE_TOKENS = (*BERT_SPECIAL_TOKENS, *(f"<0x{i:02X}>" for i in range(256)))
# Published ones have up to 128, of nothing but spaces.
_MAX_CHARACTERS = 1000
_BRACKETS = (("[", "]"), ("<", ">"))
# What begins a word of a byte-level BPE.
_SPACES = tuple(vocabulary_files.byte_characters()[i] for i in b" \t\n\v\f\r")


class Vocabulary:
  """An ordered set of tokens; a token's place is its id.

  They are WordPieces, the 256 bytes, or, where there are merges, the tokens of
  a byte-level BPE, with bytes written as `vocabulary_files.byte_characters`
  has it.

  The five special tokens are found by name, never by place, since published
  vocabularies put them in different places.

  Args:
    tokens: the tokens in id order.
    lower_case: whether text is lower-cased and stripped of accents before it
      is cut into these tokens. None: yes if no token has an upper-case letter
      or an accent, which both get lost, and no for bytes.
    source: what errors call the place the tokens came from.
    merges: pairs of tokens of a byte-level BPE, the first to be merged first.

  Attributes:
    tokens: tuple[str], in id order.
    size: number of tokens, v.
    pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens.
    special_ids: these five, in that order.
    is_continuation: bool[v], True where a token continues a word: "##ing", or
      one of a byte-level BPE that doesn't begin with a space.
    lower_case: see above.
    is_bytes: whether it is that of `byte_tokenizer`.
    is_byte_bpe: whether it has merges. merges: them, or None.
    sha256: hex digest of the tokens in order, and of merges; without those it
      equals that of a saved file.

  Raises:
    UserError: a token is empty, has white space around it or occurs twice, a
      special token is missing, or `lower_case` is left open where letters are
      all lower-case but keep their accents.
  """

  def __init__(self, tokens, lower_case=None, source="vocabulary",
               merges=None):
    self.tokens = tuple(tokens)
    self.merges = None if merges is None else tuple(merges)
    self.size = len(self.tokens)
    _check_tokens(self.tokens, source)
    names = _special_names(set(self.tokens), source, self.is_byte_bpe)
    self.special_ids = tuple(self.tokens.index(name) for name in names)
    (self.pad_id, self.unk_id, self.cls_id, self.sep_id,
     self.mask_id) = self.special_ids
    self.is_bytes = self.tokens == _BYTE_TOKENS
    by_bytes = self.is_bytes or self.is_byte_bpe
    if lower_case is None:
      lower_case = not by_bytes and _is_uncased(self.tokens, source)
    if by_bytes and lower_case:
      raise UserError(f"{source}: lower_case=true, and bytes are taken as they "
                      "are: leave it out")
    self.lower_case = bool(lower_case)

  @property
  def is_byte_bpe(self):
    return self.merges is not None

  @functools.cached_property
  def is_continuation(self):
    """bool[v], True for tokens that continue a word."""
    if self.is_byte_bpe:
      flags = np.array([not t.startswith(_SPACES) for t in self.tokens])
      flags[list(self.special_ids)] = False
    else:
      flags = np.array([t.startswith("##") and len(t) > 2
                        for t in self.tokens])
    flags.flags.writeable = False
    return flags

  @functools.cached_property
  def sha256(self):
    if self.is_byte_bpe:
      return vocabulary_files.byte_pairs_digest(self.tokens, self.merges)
    return hashlib.sha256(self._to_bytes()).hexdigest()

  @classmethod
  def load(cls, path, lower_case=None):
    """Reads a `vocab.txt`, or the files of a byte-level BPE.

    In the former, one token a line, the line number is the id.

    Args:
      path: the file, UTF-8, with LF or CRLF line ends; or a folder or file as
        `vocabulary_files` lists them.
      lower_case: as in the constructor.

    Returns:
      The vocabulary.

    Raises:
      UserError: the file is missing, empty, not UTF-8, or not a vocabulary;
        the message names the file and the line.
    """
    path, merges_path = vocabulary_files.find(path)
    if merges_path is not None:
      tokens, merges = vocabulary_files.read_byte_pairs(path, merges_path)
      return cls(tokens, lower_case, path, merges)
    try:
      with open(path, "rb") as file:
        content = file.read(vocabulary_files.MAX_BYTES + 1)
    except OSError as error:
      raise UserError(
          f"{path}: cannot read the vocabulary ({error.strerror}); give the "
          "path of a vocab.txt with one token a line") from error
    vocabulary_files.check_size(path, content)
    content = content.removeprefix(b"\xef\xbb\xbf")
    # Not splitlines(): a vocabulary may hold U+2028 or U+0085 as a token.
    lines = content.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in lines]
    while lines and not lines[-1]:
      lines.pop()
    if not lines:
      raise UserError(f"{path}: the vocabulary is empty; give a vocab.txt with "
                      "one token a line")
    tokens = _decode(lines, path)
    if {"<s>", *vocabulary_files.byte_characters()} <= set(tokens):
      raise UserError(
          f"{path}: the tokens of a byte-level BPE without its merges: put "
          f"{vocabulary_files.merges_path(os.path.basename(path))} beside it")
    return cls(tokens, lower_case=lower_case, source=path)

  def save(self, path):
    """Writes the vocabulary as a `vocab.txt`; it appears only when complete.

    Merges go into a file beside it, `vocabulary_files.merges_path`.
    """
    path = os.fspath(path)
    try:
      if self.is_byte_bpe:
        files.write(vocabulary_files.merges_path(path),
                    vocabulary_files.merge_lines(self.merges))
      files.write(path, self._to_bytes())
    except OSError as error:
      raise UserError(f"{path}: cannot write the vocabulary "
                      f"({error.strerror}); check the folder") from error

  @property
  def case(self) -> str:
    """What becomes of case and accents, for a human."""
    return ("lower case without accents" if self.lower_case
            else "case and accents kept")

  def __repr__(self):
    case = "uncased" if self.lower_case else "cased"
    if self.is_byte_bpe:
      case = "byte-level BPE"
    return f"Vocabulary({self.size} tokens, {case}, {self.sha256[:12]})"

  def _to_bytes(self):
    return vocabulary_files.token_lines(self.tokens)


def of_bytes() -> Vocabulary:
  """The vocabulary of `byte_tokenizer`: special tokens, then 256 bytes."""
  return Vocabulary(_BYTE_TOKENS, lower_case=False, source="bytes")


def _decode(lines, path):
  """Decodes the lines of a file, naming the first that is not UTF-8."""
  tokens = []
  for number, line in enumerate(lines, 1):
    try:
      tokens.append(line.decode("utf-8"))
    except UnicodeDecodeError as error:
      raise UserError(
          f"{path}:{number}: the line is not UTF-8; convert the file, for "
          "example with iconv, or fetch it again") from error
  return tokens


def _check_tokens(tokens, source):
  """Refuses what would shift ids or could never match, naming the line."""
  first_line = {}
  for number, token in enumerate(tokens, 1):
    if not token.strip(" \t"):
      raise UserError(f"{source}:{number}: the line is blank, so every later "
                      "id would be in doubt; restore the original file")
    if token != token.strip(" \t"):
      raise UserError(f"{source}:{number}: token {token!r} has white space "
                      "around it and could never match; write one bare token "
                      "a line")
    if "\n" in token or "\r" in token:
      raise UserError(f"{source}:{number}: token {token!r} holds a line break; "
                      "write one token a line")
    if "\0" in token or len(token) > _MAX_CHARACTERS:
      raise UserError(
          f"{source}:{number}: a token of {len(token):,} characters, "
          f"{token!r:.40}, " + ("one of them NUL" if "\0" in token else
                                f"where {_MAX_CHARACTERS} are the most")
          + ": not a vocabulary; write one token a line")
    if token in first_line:
      raise UserError(f"{source}:{number}: token {token!r} is already on line "
                      f"{first_line[token]}; a token must have one id, so "
                      "remove or rename one of them")
    first_line[token] = number


def with_special_tokens(tokens, merges, source) -> Vocabulary:
  """A byte-level BPE without special tokens, with RoBERTa's in their places.

  <s>, <pad>, </s> and <unk> come first, so that they are 0 to 3 as in RoBERTa,
  and <mask> last. The other ids are not RoBERTa's, which has them in another
  order: this is for models that are trained from the start.

  Args:
    tokens, merges: as `vocabulary_files.read_byte_pairs` gives them.
    source: the place they came from.

  Raises:
    UserError: if there are special tokens already.
  """
  named = [name for name in _ROBERTA_ORDER if name in tokens]
  if named:
    raise UserError(f"{source}: has {' '.join(named)} already: use it as it is")
  return Vocabulary((*_ROBERTA_ORDER[:4], *tokens, _ROBERTA_ORDER[4]),
                    source=source, merges=merges)


def _special_names(tokens, source, is_byte_bpe):
  """Returns the names of the five special tokens, all of one family."""
  missing = [[name for name in family if name not in tokens]
             for family in _SPECIAL_FAMILIES]
  best = min(range(len(missing)), key=lambda i: len(missing[i]))
  if missing[best] and is_byte_bpe:
    raise UserError(
        f"{source}: no {' '.join(missing[-1])} among its {len(tokens):,} "
        "tokens, as in GPT-2's files: give RoBERTa's vocab.json and "
        "merges.txt, or, to train from the start, add them with "
        "tools/add_special_tokens.py")
  if missing[best]:
    raise UserError(f"{source}: no {' '.join(missing[best])} among its "
                    f"{len(tokens)} tokens; a WordPiece vocabulary has "
                    f"{' '.join(_SPECIAL_FAMILIES[best])}, one a line")
  return _SPECIAL_FAMILIES[best]


def _is_uncased(tokens, source) -> bool:
  """Whether lower-casing text and stripping its accents could give these."""
  # "[UNK]" or "[unused7]" are names, not text.
  words = [token for token in tokens if not any(
      token[0] == a and token[-1] == z for a, z in _BRACKETS)]
  # Not isupper(): uncased vocabularies hold symbols such as U+211D, the real
  # numbers' R, that are upper-case but have no lower-case form.
  if any(word != word.lower() for word in words):
    return False
  # Scripts without case lose vowels where "accents" are stripped.
  accented = [word for word in words if accents.strip(word) != word]
  for word in accented:
    if any(map(accents.has_case, word)):
      raise UserError(
          f"{source}: {word!r} has an accent, and no token a capital letter: "
          "text that is lower-cased loses its accents, so say "
          "lower_case=false (in a Hugging Face folder: do_lower_case in its "
          "tokenizer_config.json), and give text in lower case")
  return not accented
