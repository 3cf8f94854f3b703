"""Learns a WordPiece vocabulary from text. Imports no TensorFlow."""

import collections

import tokenizers

from official_style.data import accents
from official_style.data import document_sample
from official_style.data.vocabulary import BERT_SPECIAL_TOKENS
from official_style.data.vocabulary import Vocabulary
from official_style.data.vocabulary import of_bytes
from official_style.errors import UserError

# The most frequent characters get a token: so many, and more as long as they
# don't cover this share of the text, as in Chinese. SentencePiece (Kudo and
# Richardson, 2018, https://arxiv.org/abs/1808.06226) has this share too.
_ALPHABET, _COVERAGE = 1000, 0.9995
_SMALLEST = 50
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
  if size < _SMALLEST:
    raise UserError(f"{setting}={size}: too small to hold an alphabet; ask "
                    f"for at least {_SMALLEST}, usually 4000 to 32000")
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
  tokens = _learn(texts, counts, size, min_frequency)
  if len(tokens) < size and not allow_smaller:
    raise UserError(
        f"{setting}={size}: {sum(counts.values()):,} characters of text yield "
        f"only {len(tokens)} tokens; " + (
            f"{setting}={len(tokens)} is the most, or "
            if len(tokens) >= _SMALLEST else "") + "give more text")
  return Vocabulary(tokens, lower_case=lower_case, source="learned vocabulary")


def _learn(texts, counts, size, min_frequency):
  """Returns tokens in id order, `size` of them if the texts yield as many.

  At least a third of them is for pieces longer than a character, where there
  are as many: if not, more characters get in, and so on.

  Args:
    texts: normalised texts.
    counts: dict character -> count in them.
    size, min_frequency: see `train_vocabulary`.
  """
  room = 2 * ((size - len(BERT_SPECIAL_TOKENS)) // 3)
  while True:
    initial, continued, dropped, has_room = _alphabet(counts, room)
    if not initial:
      raise UserError("cannot learn a vocabulary: the text has no words; "
                      "check the input files")
    blank = dict.fromkeys(map(ord, dropped), " ")
    tokens = _train((text.translate(blank) for text in texts)
                    if blank else texts, size, initial, continued,
                    min_frequency)
    if len(tokens) >= size or has_room:
      return tokens
    room += size - len(tokens)


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


def _alphabet(counts, room):
  """Splits characters into word starts, continuations, and those left out.

  A character takes two tokens, as a word's start and as its continuation, and
  one that stands alone, as Chinese ones and punctuation do, takes one.

  Args:
    counts: dict character -> count in the normalised texts.
    room: tokens there are for characters; the most frequent get them.

  Returns:
    Three lists of characters, starts and continuations in code point order and
    those left out; and whether there was room for all that should be in.
  """
  isolate = tokenizers.normalizers.BertNormalizer(
      clean_text=False, handle_chinese_chars=True, strip_accents=False,
      lowercase=False).normalize_str
  pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  # Asking the library itself what is white space (2 pieces), stands alone (3)
  # or is part of a word (1) cannot disagree with how it will cut the words.
  pieces = {c: len(pre_tokenizer.pre_tokenize_str(isolate(f"a{c}a")))
            for c in counts}
  ranked = sorted((c for c in counts if pieces[c] != 2),
                  key=lambda c: (-counts[c], c))
  wanted = _COVERAGE * sum(counts[c] for c in ranked)
  initial, covered = [], 0
  for c in ranked:
    if len(initial) >= _ALPHABET and covered >= wanted:
      break
    room -= 1 + (pieces[c] == 1)
    if room < 0:
      break
    initial.append(c)
    covered += counts[c]
  dropped = ranked[len(initial):]
  initial.sort()
  return initial, [c for c in initial if pieces[c] == 1], dropped, room >= 0


def _take_characters(texts, limit):
  """Yields texts until `limit` characters; the last one is cut there."""
  left = limit
  for text in texts:
    yield text[:left]
    left -= len(text)
    if left <= 0:
      return
