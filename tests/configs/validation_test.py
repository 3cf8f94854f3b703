"""What is refused before anything is built."""

import pytest

from official_style import command_line
from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import resolve
from official_style.errors import UserError

_ENCODER = "task.model.encoder.any"
_OPTIMIZER = "trainer.optimizer_config"


def _resolve(override, experiment="token_drop_bert"):
  return resolve.resolve(command_line.parse([
      "train.py", f"--experiment={experiment}",
      f"--params_override={override}"]))


@pytest.mark.parametrize("override, parts", [
    (f"{_OPTIMIZER}.warmup.polynomial.warmup_steps=1500",
     ["trainer.train_steps=1500", "a tenth"]),
    ("trainer.gradient_accumulation_steps=5",
     ["task.train_data.global_batch_size=16", "multiple"]),
    (f"{_ENCODER}.token_keep_share=null,{_ENCODER}.token_keep_k=129",
     ["token_keep_k=129", "[1, 128]"]),
    (f"{_ENCODER}.token_keep_share=1.5", ["token_keep_share=1.5"]),
    (f"{_ENCODER}.token_random_k=65", ["token_random_k=65", "[0, 64]"]),
    (f"{_ENCODER}.hidden_size=127", ["hidden_size=127", "multiple"]),
    (f"{_ENCODER}.num_layers=2", ["num_layers=2", "dense BERT"]),
    (f"{_ENCODER}.first_drop_layer=9", ["first_drop_layer=9"]),
    (f"{_ENCODER}.hidden_activation=foo", ["hidden_activation=foo", "relu"]),
    ("task.model.mlm_activation=foo", ["mlm_activation=foo", "relu"]),
    (f"{_ENCODER}.token_strategy=los", ["token_strategy=los", "running_loss"]),
    (f"{_ENCODER}.token_routing=none", ["token_routing=none"]),
    (f"{_ENCODER}.attention=favor",
     ["--params_override=task.train_data.pack_sequences=false,"
      "task.validation_data.pack_sequences=false"]),
    (f"{_ENCODER}.token_loss_beta=1", ["token_loss_beta=1.0"]),
    (f"{_ENCODER}.dropout_rate=1.0", ["dropout_rate=1.0"]),
    (f"{_ENCODER}.vocab_size=5000", ["vocab_size=5000", "--vocab_file"]),
    (f"{_ENCODER}.token_deny_list=[-1]", ["token_deny_list", "-1"]),
    ("task.model.encoder.type=bert", ["type=bert", "must be any"]),
    ("task.train_data.seq_length=1024", ["seq_length=1024", "512"]),
    ("task.train_data.seq_length=4", ["seq_length=4"]),
    ("task.train_data.masking_rate=1", ["masking_rate=1.0", "(0, 1)"]),
    ("task.train_data.masking_rate=0", ["masking_rate=0.0"]),
    ("task.train_data.masking_strategy=word", ["whole_word"]),
    ("task.train_data.max_predictions_per_seq=200", ["seq_length=128"]),
    ("task.train_data.global_batch_size=0", ["global_batch_size=0"]),
    ("task.train_data.use_next_sentence_label=true", ["next_sentence"]),
    ("task.model.cls_heads=[{name: next_sentence}]",
     ["nothing would train 'next_sentence'", "use_next_sentence_label=true"]),
    ("task.train_data.use_next_sentence_label=true,"
     "task.model.cls_heads=[{name: order}]", ["needs a head", "next_sentence"]),
    ("task.train_data.use_next_sentence_label=true,"
     "task.model.cls_heads=[{name: next_sentence},{name: order}]",
     ["nothing would train 'order'", "only next_sentence"]),
    ("task.train_data.tfds_name=wiki", ["tfds_name=wiki"]),
    ("task.train_data.held_out_share=1", ["held_out_share=1.0"]),
    ("task.train_data.input_path=a/b,task.validation_data.input_path='c,a//b'",
     ["a/b is also trained on"]),
    ("task.keep_schedule.dense_warmup_share=0.7,"
     "task.keep_schedule.dense_finish_share=0.7", ["task.keep_schedule"]),
    ("trainer.train_steps=0", ["trainer.train_steps=0"]),
    ("trainer.train_steps=-5", ["trainer.train_steps=-5"]),
    ("trainer.train_steps=1e30", ["trainer.train_steps=1000", "2**31"]),
    ("trainer.checkpoint_interval=0", ["checkpoint_interval=0"]),
    ("trainer.validation_steps=-2", ["validation_steps=-2"]),
    ("trainer.seed=-1", ["seed=-1"]),
    (f"{_OPTIMIZER}.optimizer.type=sgd", ["type=sgd", "adamw, lamb"]),
    (f"{_OPTIMIZER}.optimizer.type=adamm", ["did you mean adamw?"]),
    (f"{_OPTIMIZER}.learning_rate.type=stepwise", ["type=stepwise"]),
    (f"{_OPTIMIZER}.warmup.type=cubic", ["type=cubic"]),
    (f"{_OPTIMIZER}.learning_rate.polynomial.initial_learning_rate=0",
     ["initial_learning_rate=0"]),
    (f"{_OPTIMIZER}.optimizer.adamw.beta_2=1", ["beta_2=1.0"]),
    # Each of these would climb the loss, or run away, for some steps.
    (f"{_OPTIMIZER}.optimizer.adamw.gradient_clip_norm=-1",
     ["gradient_clip_norm=-1"]),
    (f"{_OPTIMIZER}.learning_rate.polynomial.end_learning_rate=-1e-4",
     ["end_learning_rate=-0.0001"]),
    (f"{_OPTIMIZER}.learning_rate.polynomial.power=-1", ["power=-1"]),
    (f"{_OPTIMIZER}.learning_rate.type=cosine,"
     f"{_OPTIMIZER}.learning_rate.cosine.initial_learning_rate=1e-4,"
     f"{_OPTIMIZER}.learning_rate.cosine.alpha=-1", ["alpha=-1"]),
    (f"{_OPTIMIZER}.warmup.type=linear,"
     f"{_OPTIMIZER}.warmup.linear.warmup_learning_rate=-1",
     ["warmup_learning_rate=-1"]),
    ("runtime.accelerator=cuda", ["accelerator=cuda"]),
    ("runtime.mixed_precision_dtype=mixed_bfloat16", ["did you mean bfloat16"]),
])
def test_what_cannot_work_is_refused_in_one_line(override, parts):
  with pytest.raises(UserError) as caught:
    _resolve(override)
  assert "\n" not in str(caught.value)
  for part in parts:
    assert part in str(caught.value)


@pytest.mark.parametrize("override", [
    f"{_OPTIMIZER}.optimizer.type=lamb",
    f"{_OPTIMIZER}.learning_rate.type=cosine,"
    f"{_OPTIMIZER}.learning_rate.cosine.initial_learning_rate=1e-4",
    f"{_ENCODER}.token_keep_share=1.0",
    f"{_ENCODER}.vocab_size=4000",
    f"{_ENCODER}.hidden_activation=gelu_tanh,task.model.mlm_activation=swish",
    "trainer.train_steps=20",
    "trainer.train_steps=1",
    "trainer.gradient_accumulation_steps=4",
    "task.train_data.input_path=a,task.validation_data.input_path=b",
    "task.keep_schedule.growth_share=0.5",
    "runtime.mixed_precision_dtype=bfloat16",
])
def test_what_can_work_is_let_pass(override):
  _resolve(override)


def test_a_dense_encoder_may_be_shallow():
  _resolve(f"{_ENCODER}.num_layers=1", experiment="bert")
