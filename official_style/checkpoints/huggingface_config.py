"""What `config.json` and `tokenizer_config.json` of Hugging Face say.

Names and defaults are those of `BertConfig`, `RobertaConfig` and
`BertTokenizer` of `transformers`.
"""

import dataclasses
import os
from typing import Optional

from official_style.checkpoints import named_weights
from official_style.checkpoints import stranger_files
from official_style.errors import UserError

MODEL_TYPES = ("bert", "roberta", "bort")
# Our names of what their activations compute; theirs `gelu` is exact.
_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh",
                "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}
# RoBERTa counts positions from here; so many rows of its table are unused.
ROBERTA_OFFSET = 2
_NEVER = dict(is_decoder=False, add_cross_attention=False,
              position_embedding_type="absolute", output_attentions=False)


@dataclasses.dataclass(frozen=True)
class HuggingFaceConfig:
  """A folder's configuration.

  Attributes:
    model_type: one of `MODEL_TYPES`.
    sizes: of the encoder of ours it makes.
    position_rows: rows of their table of positions.
  """
  model_type: str
  sizes: named_weights.EncoderSizes
  position_rows: int

  @property
  def first_position(self) -> int:
    """The row of their table that is our first."""
    return ROBERTA_OFFSET if self.model_type == "roberta" else 0


def read(folder: str) -> HuggingFaceConfig:
  """Reads and checks `config.json`.

  Raises:
    UserError: that names the key and its value.
  """
  where = os.path.join(folder, "config.json")
  config = stranger_files.read_json(folder, "config.json")
  kind = config.get("model_type")
  if kind not in MODEL_TYPES:
    raise UserError(f"{where}: model_type={kind!r:.40}: readers exist for "
                    f"{', '.join(MODEL_TYPES)}")
  for key, value in _NEVER.items():
    if config.get(key, value) != value:
      raise UserError(f"{where}: {key}={config[key]!r:.40}: no encoder of ours "
                      f"computes that, but {value!r}")
  rows = stranger_files.integer(
      where, config, "max_position_embeddings", 1 + ROBERTA_OFFSET, 2**20, 512)
  offset = ROBERTA_OFFSET if kind == "roberta" else 0
  if offset and config.get("pad_token_id", 1) != offset - 1:
    raise UserError(f"{where}: pad_token_id={config['pad_token_id']!r:.40}: "
                    "RoBERTa's positions are counted from the one after it, "
                    f"and known is {offset - 1}")
  ours = sizes(where, config, rows - offset)
  if kind == "bort":  # What its training had, which their code has not.
    ours = dataclasses.replace(
        ours, use_pooler=False, embedding_dropout_first=True)
  if kind == "roberta":  # Their head has it whatever the body has.
    ours = dataclasses.replace(ours, mlm_activation="gelu_exact")
  return HuggingFaceConfig(kind, ours, rows)


def sizes(where, config, positions) -> named_weights.EncoderSizes:
  """What the keys of a `config.json` say, within bounds."""
  def size(key, high, default=None):
    return stranger_files.integer(where, config, key, 1, high, default)

  activation = config.get("hidden_act", "gelu")
  if activation not in tuple(_ACTIVATIONS):
    raise UserError(f"{where}: hidden_act={activation!r:.40}: known are "
                    f"{', '.join(_ACTIVATIONS)}")
  ours = _ACTIVATIONS[activation]
  hidden, heads = size("hidden_size", 2**16), size("num_attention_heads", 2**10)
  if hidden % heads:
    raise UserError(f"{where}: hidden_size={hidden} is not a multiple of "
                    f"num_attention_heads={heads}")
  return named_weights.EncoderSizes(
      vocab_size=size("vocab_size", 2**22), hidden_size=hidden,
      num_layers=size("num_hidden_layers", 2**10), num_attention_heads=heads,
      intermediate_size=size("intermediate_size", 2**18),
      max_position_embeddings=positions,
      type_vocab_size=size("type_vocab_size", 2**10, 2),
      norm_epsilon=stranger_files.number(
          where, config, "layer_norm_eps", 0, 1, 1e-12),
      hidden_activation=ours,
      mlm_activation="gelu_exact" if ours == "gelu" else ours,
      initializer_range=stranger_files.number(
          where, config, "initializer_range", 0, 1, 0.02))


def read_lower_case(folder: str) -> Optional[bool]:
  """Whether the tokenizer lower-cases; None if nothing says so.

  Raises:
    UserError: if it cuts text in a way ours doesn't.
  """
  where, config = _tokenizer(folder)
  lower = config.get("do_lower_case")
  if lower not in (True, False, None):
    raise UserError(f"{where}: do_lower_case={lower!r:.40}: true or false")
  # Their default: accents go where case goes, and a CJK sign is a word.
  _check_cuts(where, config, f" with do_lower_case={lower}", dict(
      strip_accents=(None, lower), tokenize_chinese_chars=(True,),
      do_basic_tokenize=(True,)))
  return lower


def check_byte_pairs(folder: str):
  """Refuses a byte-level BPE that cuts text in a way ours doesn't.

  Raises:
    UserError: that names the key.
  """
  where, config = _tokenizer(folder)
  # Whatever `do_lower_case` says, theirs doesn't.
  _check_cuts(where, config, "", dict(add_prefix_space=(False, None)))


def _tokenizer(folder: str) -> tuple[str, dict]:
  """The path of `tokenizer_config.json`, and what it says, if it is there."""
  name = "tokenizer_config.json"
  where = os.path.join(folder, name)
  return where, (stranger_files.read_json(folder, name)
                 if os.path.lexists(where) else {})


def _check_cuts(where, config, more, ours):
  """Refuses another value than ours; the first is theirs where none is said."""
  for key, values in ours.items():
    value = config.get(key, values[0])
    if value not in values:
      raise UserError(f"{where}: {key}={value!r:.40}{more}: our tokenizer "
                      "would cut text otherwise, so the weights would see ids "
                      "they don't know")
