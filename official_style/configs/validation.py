"""What a configuration must satisfy before anything is built from it.

Each check raises `UserError` with the dotted key, its value and the mend.
"""

import os
from typing import Any, Callable, Optional

from official_style.configs import attention
from official_style.configs import encoders
from official_style.configs import field_types
from official_style.configs import pretraining
from official_style.configs import suggestions
from official_style.errors import UserError
from official_style.modeling import token_schedule
from official_style.modeling.networks import token_drop_bert_encoder

OPTIMIZERS = ("adamw", "lamb")
LEARNING_RATES = ("constant", "polynomial", "cosine")
WARMUPS = ("linear", "polynomial", None)
TOKENIZERS = ("wordpiece", "bytes", "byte_bpe")
MASKING_STRATEGIES = ("token", "whole_word", "span")
PRECISIONS = ("float32", "bfloat16", "float16", None)
# The one head that pretraining trains, beside that of masked words.
_NEXT_SENTENCE = "next_sentence"
# A string that stands for one that has to be given, by whatever means.
REQUIRED = "REQUIRED"
ACCELERATORS = ("auto", "cpu", "gpu", "tpu")


def validate(config: pretraining.PretrainingConfig):
  """Raises `UserError` on the first thing that cannot work."""
  validate_given(config)
  validate_loop(config.trainer)
  validate_optimizer(config.trainer)
  for name in ("train_data", "validation_data"):
    _validate_data(getattr(config.task, name), f"task.{name}")
  validate_batch(config)
  _validate_inputs(config.task)
  validate_encoder(config.task)
  _validate_packing(config.task)
  if isinstance(config.task.model.encoder.get(),
                encoders.PyramidBertEncoderConfig):
    raise UserError(
        "task.model.encoder: Pyramid-BERT drops tokens for good, and with them "
        "masked words to predict: pretrain with bert_encoder or "
        "token_drop_bert_encoder, and fine-tune with this one")
  _validate_keep_schedule(config)
  validate_runtime(config.runtime)


def validate_batch(config):
  """A batch divides into its micro-batches."""
  micro = config.trainer.gradient_accumulation_steps
  batch = config.task.train_data.global_batch_size
  if batch % micro:
    raise UserError(
        f"task.train_data.global_batch_size={batch}: not a multiple of "
        f"trainer.gradient_accumulation_steps={micro}")


def validate_runtime(runtime: pretraining.PretrainingRuntimeConfig):
  """Names of devices and precisions, before any device is looked for."""
  choice("runtime.accelerator", runtime.accelerator, ACCELERATORS)
  choice("runtime.mixed_precision_dtype", runtime.mixed_precision_dtype,
         PRECISIONS)
  at_least("runtime.num_replicas", runtime.num_replicas, 0)


def validate_given(config: pretraining.PretrainingConfig):
  flags = {"task.train_data.input_path": "--train_data='corpus/*.txt'",
           "task.vocab_file": "--vocab_file=vocab.txt, or the folder "
                              "of a vocab.json and merges.txt",
           "task.init_checkpoint": "--init_checkpoint=runs/bort, or "
                                   "--init_checkpoint= for random weights",
           "task.distillation.teacher": "--teacher=runs/bert"}
  for key, owner, _ in field_types.leaves(config):
    if getattr(owner, key.rsplit(".", 1)[-1]) == REQUIRED:
      mend = flags.get(key, f"--params_override={key}=...")
      raise UserError(f"{key} has to be set for this experiment: give {mend}")


def choice(key: str, value: Optional[str], choices: tuple):
  """Raises `UserError` unless `value` is one of `choices`."""
  if value not in choices:
    names = [choice for choice in choices if choice]
    guess = suggestions.did_you_mean(value or "", names)
    raise UserError(
        f"{key}={value}: must be one of {', '.join(names)}{guess}")


def at_least(key: str, value: float, lowest: float):
  """Raises `UserError` for a value below `lowest`."""
  if value < lowest:
    raise UserError(f"{key}={value}: must be at least {lowest}")


def within(key: str, value: float, low: float, high: float, brackets: str):
  """Raises `UserError` for a value outside of an interval.

  `brackets` is two of `[`, `(`, `)` and `]`, as in mathematics.
  """
  above = value >= low if brackets[0] == "[" else value > low
  below = value <= high if brackets[1] == "]" else value < high
  if not (above and below):
    raise UserError(f"{key}={value}: must lie in "
                    f"{brackets[0]}{low}, {high}{brackets[1]}")


def validate_loop(trainer: pretraining.PretrainingTrainerConfig,
                  intervals_from: int = 1):
  """Steps and intervals; where they may be 0, it stands for "by epochs"."""
  for name in ("train_steps", "checkpoint_interval", "validation_interval"):
    at_least(f"trainer.{name}", getattr(trainer, name), intervals_from)
  for name in ("steps_per_loop", "summary_interval", "max_to_keep",
               "log_interval", "gradient_accumulation_steps",
               "max_nonfinite_steps", "rendezvous_timeout"):
    at_least(f"trainer.{name}", getattr(trainer, name), 1)
  at_least("trainer.validation_steps", trainer.validation_steps, -1)
  if trainer.gradient_clip_norm is not None:
    at_least("trainer.gradient_clip_norm", trainer.gradient_clip_norm, 0)
  if not 0 <= trainer.seed < 2**31:
    raise UserError(f"trainer.seed={trainer.seed}: must lie in [0, 2**31)")


def validate_optimizer(trainer: pretraining.PretrainingTrainerConfig):
  prefix = "trainer.optimizer_config"
  config = trainer.optimizer_config
  choice(f"{prefix}.optimizer.type", config.optimizer.type, OPTIMIZERS)
  choice(f"{prefix}.learning_rate.type", config.learning_rate.type,
          LEARNING_RATES)
  choice(f"{prefix}.warmup.type", config.warmup.type, WARMUPS)

  optimizer = config.optimizer.get()
  key = f"{prefix}.optimizer.{config.optimizer.type}"
  for name in ("beta_1", "beta_2"):
    within(f"{key}.{name}", getattr(optimizer, name), 0, 1, "[)")
  _at_least_0(key, optimizer, ("weight_decay_rate", "gradient_clip_norm"))
  if optimizer.epsilon <= 0:
    raise UserError(f"{key}.epsilon={optimizer.epsilon}: must be above 0")
  if config.ema is not None:
    raise UserError(f"{prefix}.ema is not supported: remove it")
  _validate_schedule(trainer)


def _at_least_0(key: str, section: Any, names: tuple):
  """Refuses what is negative of those of these fields that there are."""
  for name in names:
    at_least(f"{key}.{name}", getattr(section, name, 0), 0)


def _validate_schedule(trainer: pretraining.PretrainingTrainerConfig):
  prefix = "trainer.optimizer_config"
  by_epochs = not trainer.train_steps  # Lengths are filled in with the data.
  if trainer.train_steps >= 2**31:
    raise UserError(f"trainer.train_steps={trainer.train_steps}: must be below "
                    "2**31")
  rate = trainer.optimizer_config.learning_rate.get()
  kind = trainer.optimizer_config.learning_rate.type
  name = "learning_rate" if kind == "constant" else "initial_learning_rate"
  value = getattr(rate, name)
  key = f"{prefix}.learning_rate.{kind}"
  if value is None or value <= 0:
    raise UserError(f"{key}.{name}={value}: must be above 0, as 1e-4")
  if kind != "constant" and not by_epochs:
    at_least(f"{key}.decay_steps", rate.decay_steps, 1)
  _at_least_0(key, rate, ("end_learning_rate", "power", "alpha"))
  warmup = trainer.optimizer_config.warmup
  _at_least_0(f"{prefix}.warmup.{warmup.type}", warmup.get(),
              ("warmup_learning_rate", "power"))
  if warmup.type and not by_epochs:
    key = f"{prefix}.warmup.{warmup.type}.warmup_steps"
    steps = warmup.get().warmup_steps
    at_least(key, steps, 0)
    if steps >= trainer.train_steps:
      raise UserError(
          f"{key}={steps}: the warm-up is not over when the run is, at "
          f"trainer.train_steps={trainer.train_steps}; lower it, or leave it "
          "empty (null) for a tenth of the run")


def _validate_data(data: pretraining.PretrainingDataConfig, prefix: str):
  at_least(f"{prefix}.global_batch_size", data.global_batch_size, 1)
  at_least(f"{prefix}.seq_length", data.seq_length, 8)
  within(f"{prefix}.masking_rate", data.masking_rate, 0, 1, "()")
  within(f"{prefix}.held_out_share", data.held_out_share, 0, 1, "()")
  choice(f"{prefix}.masking_strategy", data.masking_strategy,
          MASKING_STRATEGIES)
  at_least(f"{prefix}.max_predictions_per_seq",
            data.max_predictions_per_seq, 0)
  if data.max_predictions_per_seq > data.seq_length:
    raise UserError(
        f"{prefix}.max_predictions_per_seq={data.max_predictions_per_seq}: "
        f"more than {prefix}.seq_length={data.seq_length}; 0 takes what "
        "masking_rate asks for")
  if data.embedded_megabytes <= 0:
    raise UserError(f"{prefix}.embedded_megabytes={data.embedded_megabytes}: "
                    "must be above 0")
  if data.tfds_name:
    raise UserError(f"{prefix}.tfds_name={data.tfds_name}: not supported; "
                    "write the text to files and name them in input_path")


def _validate_inputs(task: pretraining.PretrainingTaskConfig):
  """Training and evaluation: apart in their files, alike in their rows."""
  shared = _paths(task.train_data) & _paths(task.validation_data)
  if shared:
    raise UserError(
        f"task.validation_data.input_path={min(shared)} is also trained on, "
        "so its loss would say nothing about unseen text; give other files "
        "with --eval_data, or --eval_data= for a held-out share")
  heads = [head.name for head in task.model.cls_heads or ()]
  for name in ("train_data", "validation_data"):
    data = getattr(task, name)
    if data.use_next_sentence_label and _NEXT_SENTENCE not in heads:
      raise UserError(
          f"task.{name}.use_next_sentence_label=True needs a head named "
          "next_sentence in task.model.cls_heads; set it to false, or add one")
  for name in heads:
    if name != _NEXT_SENTENCE or not task.train_data.use_next_sentence_label:
      raise UserError(
          f"task.model.cls_heads: nothing would train {name!r}: leave it out"
          + (", or, for rows that have such labels, set "
             "task.train_data.use_next_sentence_label=true"
             if name == _NEXT_SENTENCE else
             f"; only {_NEXT_SENTENCE} is a head of pretraining"))


def _paths(data: pretraining.PretrainingDataConfig) -> set[str]:
  return {os.path.normpath(path.strip())
          for path in data.input_path.split(",") if path.strip()}


def _validate_packing(task: pretraining.PretrainingTaskConfig):
  """Only softmax keeps the documents of a row apart."""
  encoder = task.model.encoder.get()
  packed = [f"task.{name}.pack_sequences"
            for name in ("train_data", "validation_data")
            if getattr(task, name).pack_sequences]
  if encoder.attention != "softmax" and packed:
    mend = ",".join(f"{name}=false" for name in packed)
    raise UserError(
        f"{packed[0]}=true: attention={encoder.attention} can't keep several "
        f"documents of a row apart: give --params_override={mend}")


def validate_encoder(task: pretraining.PretrainingTaskConfig):
  choice = task.model.encoder
  encoder = choice.get() if choice.type == "any" else None
  if not isinstance(encoder, encoders.FastBertEncoderConfig):
    raise UserError(
        f"task.model.encoder.type={choice.type}: must be any, with the "
        "encoder's fields under task.model.encoder.any")
  prefix = "task.model.encoder.any"
  for name in ("hidden_size", "num_layers", "num_attention_heads",
               "intermediate_size", "max_position_embeddings",
               "type_vocab_size"):
    at_least(f"{prefix}.{name}", getattr(encoder, name), 1)
  if encoder.hidden_size % encoder.num_attention_heads:
    raise UserError(
        f"{prefix}.hidden_size={encoder.hidden_size}: not a multiple of "
        f"{prefix}.num_attention_heads={encoder.num_attention_heads}")
  for name in ("dropout_rate", "attention_dropout_rate"):
    within(f"{prefix}.{name}", getattr(encoder, name), 0, 1, "[)")
  _validate_activation(f"{prefix}.hidden_activation",
                       encoder.hidden_activation, encoders.inner_activation)
  if hasattr(task.model, "mlm_activation"):
    _validate_activation("task.model.mlm_activation",
                         task.model.mlm_activation, encoders.head_activation)
  if getattr(task.model, "mlm_norm_epsilon", 0):  # 0 is the encoder's.
    within("task.model.mlm_norm_epsilon", task.model.mlm_norm_epsilon, 0, 1,
           "()")
  for name in ("initializer_range", "norm_epsilon"):
    within(f"{prefix}.{name}", getattr(encoder, name), 0, 1, "()")
  attention.validate(encoder, prefix)
  for name in ("train_data", "validation_data"):
    length = getattr(task, name).seq_length
    if length > encoder.max_position_embeddings:
      if hasattr(task, "extend_positions") and task.init_checkpoint:
        raise UserError(
            f"task.{name}.seq_length={length}: {task.init_checkpoint} has "
            f"{encoder.max_position_embeddings} positions: give "
            "--params_override=task.extend_positions=true to repeat its "
            "table, --init_checkpoint= to start anew, or shorter rows")
      raise UserError(
          f"task.{name}.seq_length={length}: more than "
          f"{prefix}.max_position_embeddings="
          f"{encoder.max_position_embeddings}; lower one or raise the other")
  _validate_vocabulary_size(task, encoder)
  if isinstance(encoder, encoders.TokenDropBertEncoderConfig):
    _validate_token_dropping(task, encoder, prefix)


def _validate_activation(key: str, name: str, find: Callable):
  try:
    find(name)
  except (ValueError, TypeError) as error:
    raise UserError(f"{key}={name}: no activation of Keras: give one as gelu, "
                    "gelu_tanh, relu or swish") from error


def _validate_vocabulary_size(task, encoder):
  choice("task.tokenizer", task.tokenizer, TOKENIZERS)
  at_least("task.trained_vocab_size", task.trained_vocab_size, 50)
  at_least("task.model.encoder.any.vocab_size", encoder.vocab_size, 0)
  if task.tokenizer == "byte_bpe" and not task.vocab_file:
    raise UserError("task.tokenizer=byte_bpe: none is trained here: give the "
                    "folder of vocab.json and merges.txt with --vocab_file")
  if task.tokenizer != "bytes" and not task.vocab_file and (
      encoder.vocab_size not in (0, task.trained_vocab_size)):
    raise UserError(
        f"task.model.encoder.any.vocab_size={encoder.vocab_size} without a "
        "vocabulary of that size: give it with --vocab_file, or set "
        "vocab_size=0 to take the size of the one that is trained")


def _validate_token_dropping(task: Any, encoder: Any, prefix: str):
  choice(f"{prefix}.token_strategy", encoder.token_strategy,
          token_drop_bert_encoder.STRATEGIES)
  choice(f"{prefix}.token_routing", encoder.token_routing,
          token_schedule.ROUTINGS)
  within(f"{prefix}.token_loss_beta", encoder.token_loss_beta, 0, 1, "()")
  try:
    token_schedule.token_drop_plan(
        encoder.num_layers, encoder.first_drop_layer, encoder.last_full_layer,
        encoder.token_routing)
    kept = _kept(task, encoder)
  except ValueError as error:
    raise UserError(f"{prefix}: {error}") from error
  if not 0 <= encoder.token_random_k <= kept:
    raise UserError(
        f"{prefix}.token_random_k={encoder.token_random_k}: must lie in "
        f"[0, {kept}], the number of tokens kept")
  if not attention.attention_of(encoder).takes_any_queries:
    raise UserError(
        f"{prefix}.attention={encoder.attention}: a layer of token dropping "
        "has the kept tokens look at all, which have no blocks in common: set "
        "it to softmax or favor")
  for name in ("token_allow_list", "token_deny_list"):
    for token_id in getattr(encoder, name) or ():
      if token_id < 0 or 0 < encoder.vocab_size <= token_id:
        raise UserError(f"{prefix}.{name} holds {token_id}, which is no id of "
                        f"a vocabulary of {encoder.vocab_size}")


def _kept(task: Any, encoder: Any) -> int:
  share = encoder.token_keep_share
  return token_schedule.keep_count(
      task.train_data.seq_length,
      encoder.token_keep_k if share is None else None, share)


def _validate_keep_schedule(config: pretraining.PretrainingConfig):
  encoder = config.task.model.encoder.get()
  schedule = config.task.keep_schedule.as_dict()
  if not isinstance(encoder, encoders.TokenDropBertEncoderConfig):
    return
  try:
    token_schedule.keep_stages(
        config.trainer.train_steps, config.task.train_data.seq_length,
        _kept(config.task, encoder), **schedule)
  except ValueError as error:
    raise UserError(f"task.keep_schedule: {error}") from error
