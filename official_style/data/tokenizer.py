"""Text to WordPiece ids. Imports no TensorFlow.

`graph_word_piece_tokenizer` gives the same ids in a TensorFlow graph.

Letters: b texts, t tokens of all of them together.
"""

import numpy as np

from official_style.data.byte_pair_tokenizer import BytePairTokenizer
from official_style.data.byte_tokenizer import ByteTokenizer
from official_style.data.character_map import CharacterMap

_PREFIX = "##"
# Longer words are unknown, as in BERT.
MAX_WORD_CHARACTERS = 100
# Control characters that Python's `split` takes for spaces, and BERT deletes.
_DELETED = b"\v\f"
# Entries of a cache. Full of English it takes 80 MB.
_MAX_ENTRIES = 1 << 19
# Longer strings hardly occur twice, as sentences of scripts without spaces.
_MAX_CACHED = 40


def tokenizer_of(vocabulary):
  """What cuts text into the tokens of a vocabulary.

  Returns:
    A `ByteTokenizer` for the vocabulary of bytes, a `BytePairTokenizer` for one
    with merges, else a `WordPieceTokenizer`. All have its interface.
  """
  if vocabulary.is_byte_bpe:
    return BytePairTokenizer(vocabulary)
  return (ByteTokenizer if vocabulary.is_bytes
          else WordPieceTokenizer)(vocabulary)


class WordPieceTokenizer:
  """BERT's tokenization: clean, lower-case, split, longest match first.

  Gives the ids of Hugging Face's `BertTokenizerFast`, and so does what an
  exported model runs in its graph, `graph_word_piece_tokenizer`. Words of more
  than 100 characters become one [UNK]. No special tokens are added, and none
  come out of the text: a literal "[MASK]" in it is three ordinary pieces.

  Few words make up most of any text, so what stands between two spaces is
  looked up in a table of bounded size first and cut up only if it is new.

  Args:
    vocabulary: the `Vocabulary`; its `lower_case` decides about lower-casing
      and accents.
  """

  def __init__(self, vocabulary):
    self.vocabulary = vocabulary
    # Ids as bytes: joining those is how the ids of a text come together.
    packed = np.arange(vocabulary.size, dtype="<i4").tobytes()
    self._packed = {token: packed[4 * i:4 * i + 4]
                    for i, token in enumerate(vocabulary.tokens)}
    self._max_characters = max(map(len, vocabulary.tokens))
    self._unknown = packed[4 * vocabulary.unk_id:][:4]
    self._characters = CharacterMap(vocabulary.lower_case)
    self._words = _Cache(self._cut_word)
    self._chunks = _Cache(self._cut_chunk)

  def encode_flat(self, texts):
    """Encodes texts into one array.

    Args:
      texts: list of b `str`, or of UTF-8 `bytes`.

    Returns:
      ids: int32[t], those of the first text first.
      offsets: int64[b+1]; text i is `ids[offsets[i]:offsets[i + 1]]`.
    """
    look_up = self._chunks.__getitem__
    # All that `split` cuts at is white space to BERT too, and no character
    # changes what becomes of those beyond it.
    pieces = [b"".join(map(
        look_up, _as_bytes(text).translate(None, _DELETED).split()))
              for text in texts]
    offsets = np.zeros([len(pieces) + 1], np.int64)
    np.cumsum([len(piece) // 4 for piece in pieces], out=offsets[1:])
    ids = np.frombuffer(b"".join(pieces), "<i4").astype(np.int32)
    return ids, offsets

  def encode_batch(self, texts):
    """Encodes texts one by one.

    Args:
      texts: list of b `str`, or of UTF-8 `bytes`.

    Returns:
      List of b int32 arrays, empty where a text has no tokens.
    """
    ids, offsets = self.encode_flat(texts)
    return [ids[start:end] for start, end in zip(offsets, offsets[1:])]

  def words(self, text):
    """Yields where each word of a text is, and its ids.

    All ids in order are those of `encode_batch`. Punctuation is a word of its
    own.

    Args:
      text: a `str`.

    Yields:
      (start, end, int32[t]): the word is `text[start:end]`.
    """
    word, start, end = "", 0, 0
    for place, character in enumerate(_as_bytes(text).decode() + " "):
      folded = self._characters[ord(character)]
      if word and not folded:
        end = place + 1  # An accent, say, that is not read.
      for mapped in folded:
        if not mapped.isspace():
          start = start if word else place
          word, end = word + mapped, place + 1
        elif word:
          yield start, end, np.frombuffer(
              self._words[word], "<i4").astype(np.int32)
          word = ""

  def _cut_chunk(self, chunk):
    """Returns the packed ids of UTF-8 text without spaces in it."""
    text = chunk.decode("utf-8", "replace").translate(self._characters)
    return b"".join(map(self._words.__getitem__, text.split()))

  def _cut_word(self, word):
    """Returns the packed ids of a word, normalised and without punctuation."""
    if len(word) > MAX_WORD_CHARACTERS:
      return self._unknown
    pieces, start, prefix = [], 0, ""
    while start < len(word):
      end = min(len(word), start + self._max_characters)
      while end > start:
        piece = self._packed.get(prefix + word[start:end])
        if piece is not None:
          break
        end -= 1
      else:
        return self._unknown
      pieces.append(piece)
      start, prefix = end, _PREFIX
    return b"".join(pieces)


class _Cache(dict):
  """Remembers what a function made of short strings, a bounded number."""

  def __init__(self, function):
    super().__init__()
    self._function = function

  def __missing__(self, key):
    value = self._function(key)
    if len(key) <= _MAX_CACHED:
      if len(self) >= _MAX_ENTRIES:
        # Rather than keep the first ones for ever: the language may change.
        self.clear()
      self[key] = value
    return value


def _as_bytes(text):
  # A lone surrogate has no UTF-8; "?" stands for it rather than an error.
  return text.encode("utf-8", "replace") if isinstance(text, str) else text
