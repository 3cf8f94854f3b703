"""Learns a WordPiece vocabulary from text. Imports no TensorFlow."""

import collections

import tokenizers

from official_style.data import accents
from official_style.data import document_sample
from official_style.data.vocabulary import BERT_SPECIAL_TOKENS
from official_style.data.vocabulary import Vocabulary
from official_style.data.vocabulary import of_bytes
from official_style.errors import UserError

# Enough for any script: languages with more characters than this write their
# rare ones as [UNK], as BERT's own vocabularies do.
_MAX_ALPHABET = 1000
# A vocabulary hardly changes with more of them.
_MAX_CHARACTERS = 100_000_000


def load_or_train(task, texts, what, say, show, allow_smaller=True):
  """The vocabulary that a task names, or one that is trained for it.

  Args:
    task: has `tokenizer`, `vocab_file`, `lower_case` and
      `trained_vocab_size`.
    texts: called for the texts to train on.
    what: what they are, for the line that says so.
    say: called with a line. show: called with what is going on.
    allow_smaller: see `train_vocabulary`.
  """
  if task.vocab_file:
    vocabulary = Vocabulary.load(task.vocab_file, task.lower_case)
    if task.tokenizer == "bytes" and not vocabulary.is_bytes:
      raise UserError(f"task.tokenizer=bytes needs no vocabulary, and "
                      f"--vocab_file={task.vocab_file} is one of other tokens: "
                      "leave one of them out")
    if (task.tokenizer == "byte_bpe") != vocabulary.is_byte_bpe:
      raise UserError(
          f"task.tokenizer={task.tokenizer}: --vocab_file={task.vocab_file} "
          f"is {'' if vocabulary.is_byte_bpe else 'not '}of a byte-level BPE: "
          "leave task.tokenizer out")
    return vocabulary
  if task.tokenizer == "bytes":
    say("vocabulary: 256 bytes and 5 special tokens")
    return of_bytes()
  show("training a vocabulary")
  # Not the first ones: other files may be of other languages.
  sample, _ = document_sample.sample_documents(texts(), _MAX_CHARACTERS)
  vocabulary = train_vocabulary(
      sample, task.trained_vocab_size,
      lower_case=task.lower_case, allow_smaller=allow_smaller,
      setting="--params_override=task.trained_vocab_size")
  say(f"vocabulary: {vocabulary.size} WordPieces trained on {what}, "
      f"{vocabulary.case}")
  return vocabulary


def train_vocabulary(texts, size, lower_case=None, allow_smaller=False,
                     max_characters=_MAX_CHARACTERS, min_frequency=2,
                     setting="size"):
  """Learns the `size` WordPieces that best cut up the texts.

  WordPiece training by pair merges (Hugging Face `tokenizers`). That library
  numbers the pieces of single characters in hash order, so ids, and the pieces
  themselves where two pairs tie, change from run to run. Here every character
  gets its id before training, which leaves nothing to chance: the same texts
  give the same bytes in any process, with any number of threads.

  Args:
    texts: the texts; held in memory, normalised, while training.
    size: number of tokens wanted, the five special ones included.
    lower_case: lower-case the text and strip its accents. None: unless marks
      are a part of its letters, `accents.are_letters`, as in Hindi or Thai.
    allow_smaller: return a smaller vocabulary if the texts yield no more.
    max_characters: texts after this many characters are not read; memory is
      about 2 bytes a character.
    min_frequency: a longer piece must occur so often; what is seen once is an
      accident of the sample, not a part of the language.
    setting: what errors call `size`.

  Returns:
    A `Vocabulary`: special tokens, characters, continued characters, then
    pieces from frequent to rare.

  Raises:
    UserError: `size` is too small for an alphabet, or the texts yield fewer
      than `size` tokens.
  """
  if size < 50:
    raise UserError(f"{setting}={size}: too small to hold an alphabet; ask "
                    "for at least 50, usually 4000 to 32000")
  texts = list(_take_characters(texts, max_characters))
  if lower_case is None:
    lower_case = not accents.are_letters(texts)
  normalizer = tokenizers.normalizers.BertNormalizer(
      clean_text=True, handle_chinese_chars=True, strip_accents=lower_case,
      lowercase=lower_case)
  for i, text in enumerate(texts):  # Not all of it twice in memory.
    texts[i] = normalizer.normalize_str(text)
  counts = collections.Counter()
  for text in texts:
    counts.update(text)
  # Characters take two tokens each, as a word's start and as its continuation;
  # at least a third of the vocabulary is left for longer pieces.
  initial, continued, dropped = _alphabet(
      counts, min(_MAX_ALPHABET, (size - len(BERT_SPECIAL_TOKENS)) // 3))
  if not initial:
    raise UserError("cannot learn a vocabulary: the text has no words; check "
                    "the input files")
  if dropped:
    blank = dict.fromkeys(map(ord, dropped), " ")
    texts = (text.translate(blank) for text in texts)
  tokens = _train(texts, size, initial, continued, min_frequency)
  if len(tokens) < size and not allow_smaller:
    raise UserError(
        f"{setting}={size}: {sum(counts.values()):,} characters of text yield "
        f"only {len(tokens)} tokens; {setting}={len(tokens)} is the most, or "
        "give more text")
  return Vocabulary(tokens, lower_case=lower_case, source="learned vocabulary")


def _train(texts, size, initial, continued, min_frequency):
  """Returns the tokens in id order; see `train_vocabulary`."""
  # Given as special tokens because those get their ids first and in order;
  # training itself does not treat them in any special way.
  fixed = [*BERT_SPECIAL_TOKENS, *initial, *(f"##{c}" for c in continued)]
  tokenizer = tokenizers.Tokenizer(
      tokenizers.models.WordPiece(unk_token="[UNK]"))
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  tokenizer.train_from_iterator(texts, tokenizers.trainers.WordPieceTrainer(
      vocab_size=size, min_frequency=min_frequency, show_progress=False,
      special_tokens=fixed))
  ids = tokenizer.get_vocab()
  tokens = sorted(ids, key=ids.get)
  if tokens[:len(fixed)] != fixed:
    raise RuntimeError("the tokenizers library renumbered the alphabet; "
                       "vocabularies would not be reproducible")
  return tokens


def _alphabet(counts, limit):
  """Splits characters into word starts, continuations, and those too rare.

  Args:
    counts: dict character -> count in the normalised texts.
    limit: how many characters to keep, the most frequent ones.

  Returns:
    Three lists of characters, the first two in code point order.
  """
  pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  # Asking the library itself what is white space (2 pieces), punctuation (3)
  # or part of a word (1) cannot disagree with how it will cut the words.
  pieces = {c: len(pre_tokenizer.pre_tokenize_str(f"a{c}a")) for c in counts}
  ranked = sorted((c for c in counts if pieces[c] != 2),
                  key=lambda c: (-counts[c], c))
  initial = sorted(ranked[:limit])
  return initial, [c for c in initial if pieces[c] == 1], ranked[limit:]


def _take_characters(texts, limit):
  """Yields texts until `limit` characters; the last one is cut there."""
  left = limit
  for text in texts:
    yield text[:left]
    left -= len(text)
    if left <= 0:
      return
