"""What a pretraining run is made of, as dataclasses.

They extend Model Garden's, so its YAML files load; `params.yaml` in a run
folder is one of these written out.
"""

import dataclasses
from typing import Optional

from official.core import config_definitions as cfg
from official.nlp.configs import bert
from official.nlp.configs import encoders as official_encoders
from official.nlp.data import pretrain_dataloader

from official_style.configs import encoders


@dataclasses.dataclass
class PretrainingDataConfig(pretrain_dataloader.BertPretrainDataConfig):
  """Text or TFRecords, and how they become masked sequences.

  Attributes:
    input_path: files, globs or folders, separated by commas: `.txt`, `.jsonl`,
      either with `.gz`, or TFRecords. Empty in `train_data` is the embedded
      corpus; empty in `validation_data` is a held-out share of the training
      documents.
    seq_length: tokens a row.
    max_predictions_per_seq: masked tokens a row at most; 0 is what
      `masking_rate` of a full row asks for.
    text_field: the key of the text in a JSONL row.
    pack_sequences: whether several short documents share a row.
    masking_strategy: `token`, `whole_word` or `span`.
    masking_rate: share of the tokens that are predicted.
    held_out_share: share of the documents held out when `validation_data` has
      no `input_path` of its own.
    embedded_megabytes: size of the embedded corpus, in MB of text.
  """
  use_next_sentence_label: bool = False
  use_v2_feature_names: bool = True
  max_predictions_per_seq: int = 0
  text_field: str = "text"
  pack_sequences: bool = True
  masking_strategy: str = "token"
  masking_rate: float = 0.15
  held_out_share: float = 0.05
  embedded_megabytes: float = 4.0


@dataclasses.dataclass
class PretrainerConfig(bert.PretrainerConfig):
  """The encoder and its masked-LM head.

  Attributes:
    mlm_norm_epsilon: of the head's normalisation; 0 is the encoder's.
  """
  mlm_norm_epsilon: float = 0.0


@dataclasses.dataclass
class KeepScheduleConfig(cfg.base_config.Config):
  """How many tokens the middle layers keep as training goes on.

  Shares are of `train_steps`. All zero: the encoder's own keep count always.

  Attributes:
    dense_warmup_share: at the start, no token is dropped for so long.
    dense_finish_share: at the end, no token is dropped for so long.
    growth_share: after the warm-up, the keep count grows linearly for so long
      from `growth_start_share` of the length to the encoder's keep count.
    growth_start_share: share of the length kept where growth starts.
    growth_stages: number of distinct keep counts during growth; each is one
      compilation.
  """
  dense_warmup_share: float = 0.0
  dense_finish_share: float = 0.0
  growth_share: float = 0.0
  growth_start_share: float = 0.25
  growth_stages: int = 4


@dataclasses.dataclass
class PretrainingTaskConfig(cfg.TaskConfig):
  """Masked-language-model pretraining.

  Attributes:
    tokenizer: `wordpiece`; `bytes` for those of UTF-8, which need no
      vocabulary; or `byte_bpe`, filled in where `vocab_file` is of one.
    vocab_file: a WordPiece vocabulary, a token a line; or vocab.json with
      merges.txt beside it, or the folder of both, for RoBERTa's byte-level BPE.
      Empty: WordPieces are trained on the training text.
    lower_case: whether text is lower-cased and accents stripped; None reads it
      from the vocabulary. Bytes never are.
    trained_vocab_size: size of the vocabulary that is trained.
    keep_schedule: keep counts over the steps.
    scale_loss: of Model Garden's `MaskedLMConfig`, whose files are read; losses
      are sums here, and it has no part in them.
  """
  model: PretrainerConfig = dataclasses.field(
      default_factory=lambda: PretrainerConfig(
          cls_heads=[],
          encoder=official_encoders.EncoderConfig(
              type="any", any=encoders.TokenDropBertEncoderConfig())))
  scale_loss: bool = False
  train_data: PretrainingDataConfig = dataclasses.field(
      default_factory=PretrainingDataConfig)
  validation_data: PretrainingDataConfig = dataclasses.field(
      default_factory=lambda: PretrainingDataConfig(is_training=False))
  tokenizer: str = "wordpiece"
  vocab_file: str = ""
  lower_case: Optional[bool] = None
  trained_vocab_size: int = 8000
  keep_schedule: KeepScheduleConfig = dataclasses.field(
      default_factory=KeepScheduleConfig)


@dataclasses.dataclass
class PretrainingTrainerConfig(cfg.TrainerConfig):
  """The loop.

  Attributes:
    seed: fixes initial weights, data order, masking, dropout and selection.
    gradient_accumulation_steps: micro-batches a step; the update equals that
      of the whole batch.
    gradient_clip_norm: global norm the mean gradient is clipped to, after the
      all-reduce; None takes the optimizer's `gradient_clip_norm`, 0 is off.
    max_nonfinite_steps: the run stops after so many steps in a row whose loss
      or gradient is not finite.
    log_interval: steps between two lines of progress and of `metrics.jsonl`.
    rendezvous_timeout: seconds to wait for the other workers to come up.
  """
  seed: int = 0
  gradient_accumulation_steps: int = 1
  gradient_clip_norm: Optional[float] = None
  max_nonfinite_steps: int = 20
  log_interval: int = 10
  rendezvous_timeout: int = 300
  best_checkpoint_eval_metric: str = "mlm_loss"
  best_checkpoint_metric_comp: str = "lower"


@dataclasses.dataclass
class PretrainingRuntimeConfig(cfg.RuntimeConfig):
  """Where it runs.

  Attributes:
    accelerator: `auto`, `cpu`, `gpu` or `tpu`; `gpu` fails without one.
    num_replicas: replicas on this machine; 0 takes every GPU, or one CPU.
  """
  distribution_strategy: str = "auto"
  accelerator: str = "auto"
  num_replicas: int = 0


@dataclasses.dataclass
class PretrainingConfig(cfg.ExperimentConfig):
  """A whole pretraining experiment."""
  task: PretrainingTaskConfig = dataclasses.field(
      default_factory=PretrainingTaskConfig)
  trainer: PretrainingTrainerConfig = dataclasses.field(
      default_factory=PretrainingTrainerConfig)
  runtime: PretrainingRuntimeConfig = dataclasses.field(
      default_factory=PretrainingRuntimeConfig)
