"""What a fine-tuning run is made of, as dataclasses.

Fields that Model Garden's `bert/sentence_prediction` has too have its names,
so its YAML files load; its own dataclasses would bring along packages that
nothing here uses.
"""

import dataclasses
from typing import Optional

from official.core import config_definitions as cfg
from official.modeling.hyperparams import base_config
from official.nlp.configs import encoders as official_encoders

from official_style.configs import encoders
from official_style.configs import pretraining

# Up to this width, this rate.
_NARROW, _NARROW_RATE = 128, 3e-4


@dataclasses.dataclass
class SentencePredictionDataConfig(cfg.DataConfig):
  """Labelled rows.

  Attributes:
    input_path: TSV, CSV or JSONL files (also `.gz`), or the folder of a named
      task. Empty in `train_data` is the embedded labelled set; empty in
      `validation_data` is the task's own dev file, or a held-out share of the
      training rows.
    seq_length: tokens a row; longer texts are cut.
    held_out_share: share of the training rows held out when there is nothing
      else to evaluate on.
    group_by_length: whether the rows of a batch are of about equal length, and
      padded to the longest of them; else all are padded to `seq_length`.
      None is filled in: so, unless XLA or a TPU would compile a program for
      each length.
  """
  input_path: str = ""
  global_batch_size: int = 32
  is_training: Optional[bool] = True
  seq_length: int = 128
  held_out_share: float = 0.1
  group_by_length: Optional[bool] = None


@dataclasses.dataclass
class SentencePredictionModelConfig(base_config.Config):
  """The classifier.

  Attributes:
    num_classes: of the labels; 0 counts them.
    use_encoder_pooler: whether the head reads the encoder's pooler, or has a
      new one of its own.
    head_dropout_rate: before the last projection.
    head_input_dropout_rate: before a pooler of the head's own, as RoBERTa's
      head has it.
  """
  num_classes: int = 0
  use_encoder_pooler: bool = True
  head_dropout_rate: float = 0.1
  head_input_dropout_rate: float = 0.0
  encoder: official_encoders.EncoderConfig = dataclasses.field(
      default_factory=lambda: official_encoders.EncoderConfig(
          type="any", any=encoders.FastBertEncoderConfig()))


@dataclasses.dataclass
class SentenceDistillationConfig(base_config.Config):
  """A teacher beside the labels.

  Attributes:
    teacher: the folder of a fine-tuning run of ours with the same labels and
      the same vocabulary; empty is none.
    teacher_digest: of its weights; filled in here.
    weight: of the divergence from what the teacher says; the rest, up to 1, is
      that of the loss on labels. 0 is plain fine-tuning, to the last byte.
    temperature: what logits are divided by.
  """
  teacher: str = ""
  teacher_digest: str = ""
  weight: float = 0.5
  temperature: float = 1.0


@dataclasses.dataclass
class SentencePredictionTaskConfig(cfg.TaskConfig):
  """One label for one text, a pair, or one of several choices.

  Attributes:
    init_checkpoint: weights to start from: a run folder, a checkpoint folder or
      prefix, a Hugging Face BERT folder. `auto` takes those of the main job
      if there are any; empty starts from random ones.
    task_name: a task of GLUE, SuperGLUE or RACE; see `labelled_tasks`.
    single_sequence: whether a row of COPA, RACE or WSC is one sequence with all
      its choices, as Bort was fine-tuned, and which is right a class.
    text_columns: one or two, separated by commas; names, or numbers from 0
      where there is no header.
    label_column: name or number.
    choice_columns: two or more, for multiple choice.
    has_header: None: if columns have names.
    label_type: `class`, or `number` for regression; empty is what the task
      has, else `class`.
    label_names: classes in order, separated by commas; empty sorts those of
      the training rows.
    soft_label_column: field of the training rows, which are JSONL then, with a
      probability for each class, in their order, to be learnt in place of the
      label; a row without it has its label.
    distillation: a teacher, if any.
    num_folds: parts of the training rows for cross-validation; 0 is none.
    fold: the part that is held out of them.
    test_path: files to predict at the end, with labels or without.
    threshold_speedup: above 1, a threshold of received attention is learnt for
      each layer, until rows take so many times fewer matrix products; how many
      tokens that leaves is written to `token_schedule.json`. None is not to.
    tokenizer, vocab_file, lower_case, trained_vocab_size: as in pretraining;
      without a `vocab_file`, that of the run whose weights are started from.
    pair_separators: [SEP] between the two texts of a pair: 1, or RoBERTa's 2.
    extend_positions: whether a position table that is too short for the rows
      is repeated until it is not.
    drop_top_layers: whether a checkpoint may have more layers than the model:
      its first ones are begun with (Sajjad et al., 2020,
      https://arxiv.org/abs/2004.03844, top-layer dropping).
  """
  model: SentencePredictionModelConfig = dataclasses.field(
      default_factory=SentencePredictionModelConfig)
  train_data: SentencePredictionDataConfig = dataclasses.field(
      default_factory=SentencePredictionDataConfig)
  validation_data: SentencePredictionDataConfig = dataclasses.field(
      default_factory=lambda: SentencePredictionDataConfig(
          is_training=False))
  task_name: str = ""
  single_sequence: bool = False
  text_columns: str = ""
  label_column: str = ""
  choice_columns: str = ""
  has_header: Optional[bool] = None
  label_type: str = ""
  label_names: str = ""
  soft_label_column: Optional[str] = None
  distillation: SentenceDistillationConfig = dataclasses.field(
      default_factory=SentenceDistillationConfig)
  num_folds: int = 0
  fold: int = 0
  test_path: str = ""
  threshold_speedup: Optional[float] = None
  tokenizer: str = "wordpiece"
  vocab_file: str = ""
  lower_case: Optional[bool] = None
  trained_vocab_size: int = 4000
  pair_separators: int = 1
  extend_positions: bool = False
  drop_top_layers: bool = False


@dataclasses.dataclass
class FineTuningTrainerConfig(pretraining.PretrainingTrainerConfig):
  """The loop.

  Attributes:
    epochs: times every training row is seen; decides `train_steps` where that
      is 0.
    evaluations_per_epoch: how often to evaluate and save, where
      `validation_interval` and `checkpoint_interval` are 0.
    early_stopping_patience: evaluations without a better one after which
      training ends; 0 is never.
    best_checkpoint_eval_metric: empty is the first of the task's metrics.
    best_checkpoint_metric_comp: empty is what that metric asks for.
  """
  epochs: float = 3.0
  evaluations_per_epoch: float = 1.0
  early_stopping_patience: int = 0
  steps_per_loop: int = 1
  summary_interval: int = 1
  checkpoint_interval: int = 0
  validation_interval: int = 0
  max_to_keep: int = 1
  best_checkpoint_eval_metric: str = ""
  best_checkpoint_metric_comp: str = ""


@dataclasses.dataclass
class FineTuningConfig(cfg.ExperimentConfig):
  """A whole fine-tuning experiment."""
  task: SentencePredictionTaskConfig = dataclasses.field(
      default_factory=SentencePredictionTaskConfig)
  trainer: FineTuningTrainerConfig = dataclasses.field(
      default_factory=FineTuningTrainerConfig)
  runtime: pretraining.PretrainingRuntimeConfig = dataclasses.field(
      default_factory=pretraining.PretrainingRuntimeConfig)


def fill_group_by_length(config: FineTuningConfig):
  """Whether rows of like length share a batch, where nothing is said.

  Said here, and so written down with the run: what it learns from hangs on it,
  which another device or a compiler must not change on the way.
  """
  runtime = config.runtime
  compiles = bool(runtime.enable_xla or runtime.tpu or "tpu" in (
      runtime.accelerator, runtime.distribution_strategy))
  for data in (config.task.train_data, config.task.validation_data):
    if data.group_by_length is None:
      data.group_by_length = not compiles


def fill_learning_rate(config: FineTuningConfig):
  """The rate of a polynomial decay by the width, where none is given.

  BERT base, 768 wide, is fine-tuned at 2e-5 to 5e-5 (Devlin et al., 2019,
  appendix A.3), and narrower models take more.
  """
  schedule = config.trainer.optimizer_config.learning_rate
  width = config.task.model.encoder.get().hidden_size
  if (schedule.type == "polynomial" and width
      and schedule.get().initial_learning_rate is None):
    rate = _NARROW_RATE * min(1.0, _NARROW / width)
    schedule.get().initial_learning_rate = float(f"{rate:.2g}")
