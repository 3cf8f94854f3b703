"""Every experiment: the functions Gin files configure, and the registry.

These are the only functions a Gin file can name. `**fields` are the fields of
the dataclass a function returns, so a default is written once, there.

    experiment.config = @pretraining()
      pretraining.task = @pretraining_task()
        pretraining_task.encoder = @bert_encoder() or @token_drop_bert_encoder()
        pretraining_task.train_data = @train/pretraining_data()
        pretraining_task.validation_data = @eval/pretraining_data()
        pretraining_task.keep_schedule = @keep_schedule()
        pretraining_task.distillation = @distillation()
      pretraining.trainer = @pretraining_trainer()
        pretraining_trainer.optimizer_config = @pretraining_optimizer()
      pretraining.runtime = @pretraining_runtime()

    experiment.config = @fine_tuning()
      fine_tuning.task = @sentence_prediction_task()
        sentence_prediction_task.encoder = @bert_encoder()
                                           or @pyramid_bert_encoder()
        sentence_prediction_task.train_data = @train/labelled_data()
        sentence_prediction_task.validation_data = @eval/labelled_data()
        sentence_prediction_task.distillation = @sentence_distillation()
      fine_tuning.trainer = @fine_tuning_trainer()
        fine_tuning_trainer.optimizer_config = @pretraining_optimizer()
      fine_tuning.runtime = @pretraining_runtime()
"""

import dataclasses
from typing import Optional

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import optimization
from official.nlp.configs import encoders as official_encoders

from official_style.configs import distillation as distillation_configs
from official_style.configs import encoders
from official_style.configs import fine_tuning as fine_tuning_configs
from official_style.configs import gin_evaluation
from official_style.configs import gin_files
from official_style.configs import pretraining as configs
from official_style.configs import resolve

# Neither biases nor normalisation are decayed (BERT's own optimizer).
_UNDECAYED = ("LayerNorm", "layer_norm", "bias")


@gin_evaluation.configurable
def experiment(config: cfg.ExperimentConfig) -> cfg.ExperimentConfig:
  """The root: what is bound here is run."""
  return config


@gin_evaluation.configurable
def bert_encoder(**fields) -> encoders.FastBertEncoderConfig:
  """A dense BERT."""
  return encoders.FastBertEncoderConfig(**fields)


def _fields_of(dense: encoders.FastBertEncoderConfig) -> dict:
  return {field.name: getattr(dense, field.name)
          for field in dataclasses.fields(encoders.FastBertEncoderConfig)}


@gin_evaluation.configurable
def token_drop_bert_encoder(
    dense: encoders.FastBertEncoderConfig,
    **fields) -> encoders.TokenDropBertEncoderConfig:
  """The dense encoder `dense`, dropping tokens in its middle layers."""
  return encoders.TokenDropBertEncoderConfig(**(_fields_of(dense) | fields))


@gin_evaluation.configurable
def pyramid_bert_encoder(
    dense: encoders.FastBertEncoderConfig,
    **fields) -> encoders.PyramidBertEncoderConfig:
  """The dense encoder `dense`, keeping fewer tokens from layer to layer."""
  return encoders.PyramidBertEncoderConfig(**(_fields_of(dense) | fields))


@gin_evaluation.configurable
def pretraining_data(**fields) -> configs.PretrainingDataConfig:
  """Training data in the scope `train`, evaluation data in `eval`."""
  return configs.PretrainingDataConfig(**fields)


@gin_evaluation.configurable
def keep_schedule(**fields) -> configs.KeepScheduleConfig:
  """Keep counts over the steps."""
  return configs.KeepScheduleConfig(**fields)


@gin_evaluation.configurable
def distillation(**fields) -> distillation_configs.DistillationConfig:
  """A teacher, and what of it is learnt."""
  return distillation_configs.DistillationConfig(**fields)


@gin_evaluation.configurable
def pretraining_task(
    encoder: encoders.FastBertEncoderConfig,
    mlm_activation: str = "gelu",
    mlm_norm_epsilon: float = 0.0,
    distillation: Optional[distillation_configs.DistillationConfig] = None,
    **fields) -> configs.PretrainingTaskConfig:
  """Masked-language-model pretraining of `encoder`, with no other head.

  Args:
    encoder: what is trained.
    mlm_activation: of the head.
    mlm_norm_epsilon: of the head; 0 is the encoder's.
    distillation: a teacher beside it, if any.
    **fields: others.
  """
  model = configs.PretrainerConfig(
      cls_heads=[], mlm_activation=mlm_activation,
      mlm_norm_epsilon=mlm_norm_epsilon,
      encoder=official_encoders.EncoderConfig(type="any", any=encoder))
  fields = {"model": model} | fields
  if distillation is None:
    return configs.PretrainingTaskConfig(**fields)
  return distillation_configs.DistillationTaskConfig(
      distillation=distillation, **fields)


@gin_evaluation.configurable
def pretraining_optimizer(
    learning_rate: Optional[float],
    type: str = "adamw",  # pylint: disable=redefined-builtin
    warmup_steps: Optional[int] = None,
    decay_steps: Optional[int] = None,
    end_learning_rate: float = 0.0,
    power: float = 1.0,
    weight_decay_rate: float = 0.01,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: Optional[float] = None,
    gradient_clip_norm: float = 1.0) -> optimization.OptimizationConfig:
  """Linear warm-up and polynomial decay, of AdamW or LAMB.

  Args:
    learning_rate: at the end of the warm-up; None, in fine-tuning only, is by
      the width of the model.
    type: `adamw` or `lamb`.
    warmup_steps: None is a tenth of `train_steps`, 0 is none.
    decay_steps: None is `train_steps`.
    end_learning_rate: after `decay_steps`.
    power: of the decay; 1 is linear.
    weight_decay_rate: of everything but biases and normalisation.
    beta_1: decay of the first moment.
    beta_2: decay of the second moment.
    epsilon: added to the root of the second moment; None is Model Garden's,
      1e-7 for AdamW and 1e-6 for LAMB.
    gradient_clip_norm: AdamW's; 0 is off.
  """
  shared = dict(weight_decay_rate=weight_decay_rate, beta_1=beta_1,
                beta_2=beta_2, exclude_from_weight_decay=list(_UNDECAYED))
  if epsilon is not None:
    shared["epsilon"] = epsilon
  return optimization.OptimizationConfig({
      "optimizer": {
          "type": type,
          "adamw": shared | {"gradient_clip_norm": gradient_clip_norm},
          "lamb": shared,
      },
      "learning_rate": {
          "type": "polynomial",
          "polynomial": {"initial_learning_rate": learning_rate,
                         "end_learning_rate": end_learning_rate,
                         "decay_steps": decay_steps, "power": power},
      },
      "warmup": {
          "type": "polynomial",
          "polynomial": {"warmup_steps": warmup_steps, "power": 1.0},
      },
  })


@gin_evaluation.configurable
def pretraining_trainer(**fields) -> configs.PretrainingTrainerConfig:
  """Steps, intervals and the optimizer."""
  return configs.PretrainingTrainerConfig(**fields)


@gin_evaluation.configurable
def pretraining_runtime(**fields) -> configs.PretrainingRuntimeConfig:
  """Accelerator, replicas, precision, XLA."""
  return configs.PretrainingRuntimeConfig(**fields)


@gin_evaluation.configurable
def pretraining(task: configs.PretrainingTaskConfig,
                trainer: configs.PretrainingTrainerConfig,
                **fields) -> configs.PretrainingConfig:
  """A whole pretraining experiment."""
  return configs.PretrainingConfig(task=task, trainer=trainer, **fields)


@gin_evaluation.configurable
def labelled_data(
    **fields) -> fine_tuning_configs.SentencePredictionDataConfig:
  """Training rows in the scope `train`, evaluation rows in `eval`."""
  return fine_tuning_configs.SentencePredictionDataConfig(**fields)


@gin_evaluation.configurable
def sentence_distillation(
    **fields) -> fine_tuning_configs.SentenceDistillationConfig:
  """A teacher beside the labels, if any."""
  return fine_tuning_configs.SentenceDistillationConfig(**fields)


@gin_evaluation.configurable
def sentence_prediction_task(
    encoder: encoders.FastBertEncoderConfig, head_dropout_rate: float = 0.1,
    use_encoder_pooler: bool = True, head_input_dropout_rate: float = 0.0,
    **fields) -> fine_tuning_configs.SentencePredictionTaskConfig:
  """One label for one text, a pair, or one of several choices."""
  model = fine_tuning_configs.SentencePredictionModelConfig(
      use_encoder_pooler=use_encoder_pooler,
      head_dropout_rate=head_dropout_rate,
      head_input_dropout_rate=head_input_dropout_rate,
      encoder=official_encoders.EncoderConfig(type="any", any=encoder))
  return fine_tuning_configs.SentencePredictionTaskConfig(
      **({"model": model} | fields))


@gin_evaluation.configurable
def fine_tuning_trainer(
    **fields) -> fine_tuning_configs.FineTuningTrainerConfig:
  """Epochs, intervals and the optimizer."""
  return fine_tuning_configs.FineTuningTrainerConfig(**fields)


@gin_evaluation.configurable
def fine_tuning(task: fine_tuning_configs.SentencePredictionTaskConfig,
                trainer: fine_tuning_configs.FineTuningTrainerConfig,
                **fields) -> fine_tuning_configs.FineTuningConfig:
  """A whole fine-tuning experiment."""
  return fine_tuning_configs.FineTuningConfig(
      task=task, trainer=trainer, **fields)


def get_experiment(name: str) -> cfg.ExperimentConfig:
  """The configuration of a registered experiment, as `--experiment` has it."""
  return resolve.resolve_experiment(name).config


def _register(name: str):
  exp_factory.register_config_factory(name)(lambda: get_experiment(name))


# Model Garden's registry is a tree, in which `token_drop_bert` cannot be both
# an experiment and the folder of another. Names with a folder are registered;
# `get_experiment` knows all. One that Model Garden registers itself stays its
# own there: whoever imports both would be told of a collision.
_MODEL_GARDENS = ("bert/sentence_prediction",)
for _name in gin_files.experiment_names():
  if "/" in _name and _name not in _MODEL_GARDENS:
    _register(_name)
