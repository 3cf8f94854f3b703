"""Sizes and vocabulary of a run whose weights another run starts from.

The encoder's fields say nothing (0, or empty) where they leave it to the
checkpoint; what they do say has to agree with it. A checkpoint of a run of ours
has `params.yaml` and `data/vocab.txt` in its run folder, a Hugging Face folder
`config.json` and `vocab.txt`, or `vocab.json` and `merges.txt`; of others,
sizes and vocabulary have to be given.
"""

import dataclasses
import os
from typing import Optional

from official_style import vocabulary_files
from official_style import yaml_files
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import weight_files
from official_style.configs import encoders
from official_style.configs import validation
from official_style.errors import UserError

AUTO = "auto"
_MAIN_JOB = os.path.join("runs", "token_drop_bert")
# What an encoder is, besides how it drops out: weights fit nothing else.
_SHAPES = ("hidden_size", "num_layers", "num_attention_heads",
           "intermediate_size", "max_position_embeddings", "type_vocab_size",
           "embedding_size", "norm_epsilon", "initializer_range")
_ATTENTION = tuple(
    field.name for field in dataclasses.fields(encoders.FastBertEncoderConfig)
    if field.name.startswith("favor_") or field.name in (
        "attention", "attention_block_size", "attention_window_blocks",
        "attention_random_blocks", "attention_seed"))
_BEHAVIOUR = ("hidden_activation", "norm_first", "use_type_embeddings",
              "use_pooler", "embedding_dropout_first")
# Without a checkpoint: the sizes of gin/models/tiny.gin.
_TINY = dict(hidden_size=128, num_layers=4, num_attention_heads=2,
             intermediate_size=512, max_position_embeddings=512,
             type_vocab_size=2, norm_epsilon=1e-12, initializer_range=0.06)


@dataclasses.dataclass(frozen=True)
class Source:
  """What a checkpoint says about its weights.

  Attributes:
    place: the folder. vocab_file: its vocabulary.
    encoder: fields of the encoder, as a dict.
    lower_case: of its text; None is not said.
    mlm_activation: of its masked-LM head; None is not said.
    mlm_norm_epsilon: of that head; None is the encoder's.
    tokenizer: `wordpiece`, `bytes` or `byte_bpe`.
  """
  place: str
  vocab_file: str
  encoder: dict
  lower_case: Optional[bool]
  mlm_activation: Optional[str]
  mlm_norm_epsilon: Optional[float] = None
  tokenizer: str = "wordpiece"


def check_exists(path: str, model_dir: str = ""):
  """Refuses a checkpoint that isn't there, before anything takes time.

  Args:
    path: `task.init_checkpoint`.
    model_dir: of the run; one that was begun has its weights already.

  Raises:
    UserError: naming the mend.
  """
  begun = model_dir and os.path.exists(os.path.join(model_dir, "params.yaml"))
  if begun or path in ("", AUTO, validation.REQUIRED) or (
      os.path.exists(path) or os.path.exists(f"{path}.index")):
    return
  raise UserError(
      f"--init_checkpoint={path}: no such folder, and no checkpoint of that "
      "name; nothing is downloaded: give a run, a folder of Hugging Face (`hf "
      "download NAME --local-dir FOLDER` makes one), or what stands before "
      ".index")


def fill_tokenizer(task):
  """Says `byte_bpe` where nobody said otherwise and `vocab_file` is of one."""
  if task.tokenizer == "wordpiece" and task.vocab_file and (
      vocabulary_files.is_byte_bpe(task.vocab_file)):
    task.tokenizer = "byte_bpe"


def fill(task, model_dir: str = ""):
  """Fills in what a task's encoder and vocabulary leave to the checkpoint.

  Args:
    task: a `SentencePredictionTaskConfig`.
    model_dir: of the run; one that was begun keeps what it began from.

  Raises:
    UserError: if something that is given contradicts the checkpoint.
  """
  encoder = task.model.encoder.get()
  if task.init_checkpoint == AUTO:
    task.init_checkpoint = _begun_from(model_dir, task.tokenizer)
  source = source_of(task.init_checkpoint)
  if source:
    _take(task, source)
  elif task.init_checkpoint and os.path.exists(
      task.init_checkpoint + ".index"):
    _require_given(task, encoder)
  if not encoder.use_pooler:
    task.model.use_encoder_pooler = False
  _fill_positions(task, source)
  for name in _SHAPES:
    if not getattr(encoder, name):
      value = (source.encoder if source else {}).get(name, _TINY.get(name))
      if value:
        setattr(encoder, name, value)


def _fill_positions(task, source):
  """As many positions as the rows have, where that is not the checkpoint's."""
  encoder = task.model.encoder.get()
  if encoder.max_position_embeddings:
    return
  longest = max(task.train_data.seq_length, task.validation_data.seq_length)
  if source or task.init_checkpoint:
    theirs = (source.encoder if source else _TINY).get(
        "max_position_embeddings")
    if theirs and task.extend_positions:
      encoder.max_position_embeddings = max(theirs, longest)
  else:
    encoder.max_position_embeddings = max(
        _TINY["max_position_embeddings"], longest)


def fill_pretraining(task, unsaid):
  """As `fill`, where the experiment itself names sizes.

  Args:
    task: a `PretrainingTaskConfig` with an `init_checkpoint`.
    unsaid: names of encoder fields that nobody but the experiment set; the
      checkpoint wins over those.
  """
  source = source_of(task.init_checkpoint)
  if source is None:
    return
  encoder = task.model.encoder.get()
  for name in _SHAPES + _BEHAVIOUR:
    value = source.encoder.get(name)
    if name in unsaid and name != "initializer_range" and value is not None:
      setattr(encoder, name, value)
  if task.vocab_file == validation.REQUIRED:
    task.vocab_file = ""
  _take(task, source)
  _take_head(task, source)


def source_of(path: str, flag: str = "--init_checkpoint"
              ) -> Optional[Source]:
  """What the checkpoint at a path says about itself, if it does."""
  run = run_folder_of(path)
  if run:
    return _read(run)
  if not path or not huggingface_reader.is_folder(path):
    return None
  weights = huggingface_reader.read(path)
  if weights.vocab_file is None:
    raise UserError(
        f"{flag}={path}: has neither vocab.txt nor vocab.json and "
        "merges.txt, so nobody knows what the ids of these weights mean: put "
        "them there")
  sizes = dataclasses.asdict(weights.sizes)
  return Source(path, weights.vocab_file, sizes, weights.lower_case,
                sizes.pop("mlm_activation"), sizes.pop("mlm_norm_epsilon"),
                "byte_bpe" if weights.bpe_folder else "wordpiece")


def _take(task, source: Source):
  encoder = task.model.encoder.get()
  _agree(encoder, source.encoder, source.place,
         getattr(task, "extend_positions", False),
         getattr(task, "drop_top_layers", None))
  # Softmax is what nobody chose; weights of another run with any attention.
  if encoder.attention == "softmax":
    for name in _ATTENTION:
      setattr(encoder, name, source.encoder.get(name, getattr(encoder, name)))
  _take_vocabulary(task, source)


def _take_head(task, source: Source):
  """Activation and epsilon of the masked-LM head."""
  theirs = source.mlm_norm_epsilon or source.encoder.get("norm_epsilon")
  ours = task.model.mlm_norm_epsilon
  if theirs and ours and ours != theirs:
    raise UserError(f"task.model.mlm_norm_epsilon={ours}: the weights of "
                    f"{source.place} have {theirs}: leave it out")
  if theirs and theirs != task.model.encoder.get().norm_epsilon:
    task.model.mlm_norm_epsilon = theirs
  ours, theirs = task.model.mlm_activation, source.mlm_activation
  if theirs is not None and ours != theirs:
    if ours != type(task.model)().mlm_activation:
      raise UserError(f"task.model.mlm_activation={ours}: the weights of "
                      f"{source.place} have {theirs}: leave it out")
    task.model.mlm_activation = theirs


def _begun_from(model_dir: str, tokenizer: str) -> str:
  """What a run began from; of a new one, the main job if there is one."""
  for name in ("", "seed-0", "fold-0"):
    path = os.path.join(model_dir, name, "params.yaml")
    if model_dir and os.path.exists(path):
      return _load(path).get("task", {}).get("init_checkpoint", "")
  pointer = os.path.join(_MAIN_JOB, "checkpoints", "checkpoint")
  if not os.path.exists(pointer) or not run_folder_of(_MAIN_JOB):
    return ""
  # Bytes have no use for the weights of WordPieces.
  fits = tokenizer == "wordpiece" or _read(_MAIN_JOB).tokenizer == tokenizer
  return _MAIN_JOB if fits else ""


def run_folder_of(path: str) -> Optional[str]:
  """The run folder that a checkpoint is in, with its vocabulary."""
  return weight_files.run_folder_of(
      path, "params.yaml", os.path.join("data", "vocab.txt"))


def _load(path: str) -> dict:
  return yaml_files.load_object(
      path, "nobody knows what the weights there are of: bring it back, or "
      "give another --init_checkpoint")


def _read(run: str) -> Source:
  """What the configuration of a run says."""
  path = os.path.join(run, "params.yaml")
  task = _load(path).get("task", {})
  try:
    encoder = task["model"]["encoder"]["any"]
    head = task["model"].get("mlm_activation")
    epsilon = task["model"].get("mlm_norm_epsilon") or None
    odd = [name for name in _SHAPES + _BEHAVIOUR + _ATTENTION
           if not _is_like(encoder.get(name), name)]
  except (AttributeError, KeyError, TypeError):
    raise UserError(f"{path}: holds no task.model.encoder.any: it is no run "
                    "whose weights can be started from") from None
  if odd:
    raise UserError(f"{path}: task.model.encoder.any.{odd[0]}="
                    f"{encoder[odd[0]]!r:.40}: no value of that name: bring "
                    "the file back, or give another --init_checkpoint")
  return Source(run, os.path.join(run, "data", "vocab.txt"), encoder,
                task.get("lower_case"), head, epsilon,
                task.get("tokenizer", "wordpiece"))


def _is_like(value, name: str) -> bool:
  """Whether a value of a run's encoder is of the type of its field."""
  default = getattr(encoders.FastBertEncoderConfig(), name)
  kind = (int, float) if isinstance(
      default, (int, float, type(None))) else type(default)
  return value is None or isinstance(value, kind)


def _agree(encoder, theirs: dict, run: str, extends: bool,
           drops: Optional[bool]):
  default = encoders.FastBertEncoderConfig()
  for name in _SHAPES + _BEHAVIOUR:
    ours, value = getattr(encoder, name), theirs.get(name)
    if name == "initializer_range" or value is None:
      continue
    if name in _BEHAVIOUR and ours == getattr(default, name):
      setattr(encoder, name, value)
    elif name == "max_position_embeddings" and ours > value:
      if not extends:
        raise UserError(
            f"task.model.encoder.any.{name}={ours}: the weights of {run} have "
            f"{value}: give --params_override=task.extend_positions=true to "
            "repeat their table, or leave it out for rows of at most that")
    elif name == "num_layers" and 0 < ours < value and drops is not None:
      if not drops:
        raise UserError(
            f"task.model.encoder.any.{name}={ours}: the weights of {run} have "
            f"{value}: give --params_override=task.drop_top_layers=true to "
            f"begin with the first {ours}, or leave it out")
    elif ours and ours != value:
      raise UserError(
          f"task.model.encoder.any.{name}={ours}: the weights of {run} have "
          f"{value}: leave it out, and it is taken from there")


def _take_vocabulary(task, source: Source):
  path = source.vocab_file
  if task.tokenizer != source.tokenizer:
    if task.tokenizer != "wordpiece":
      raise UserError(
          f"task.tokenizer={task.tokenizer}: the weights of {source.place} are "
          f"of {source.tokenizer} tokens: leave it out, or give other weights "
          "with --init_checkpoint, none with --init_checkpoint=")
    task.tokenizer = source.tokenizer
  if not task.vocab_file:
    task.vocab_file = path
  elif os.path.exists(task.vocab_file) and (
      vocabulary_files.digest(task.vocab_file)
      != vocabulary_files.digest(path)):
    raise UserError(
        f"--vocab_file={task.vocab_file}: not the vocabulary of the weights of "
        f"{source.place}: leave it out, and {path} is taken")
  if task.lower_case is None:
    task.lower_case = source.lower_case
  elif source.lower_case not in (None, task.lower_case):
    raise UserError(f"task.lower_case={task.lower_case}: the weights of "
                    f"{source.place} were trained with {source.lower_case}")


def _require_given(task, encoder):
  missing = [f"task.model.encoder.any.{name}" for name in (
      "hidden_size", "num_layers", "num_attention_heads", "intermediate_size")
             if not getattr(encoder, name)]
  if not task.vocab_file:
    missing.append("task.vocab_file")
  if missing:
    raise UserError(
        f"--init_checkpoint={task.init_checkpoint}: in no run folder with "
        f"params.yaml and data/vocab.txt, so give what they would say: "
        f"{', '.join(missing)}")
