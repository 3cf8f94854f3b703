"""Precedence, strictness and the round trip of configurations."""

import pytest
import yaml

from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import resolve
from official_style.errors import UserError
from tests.reference import resolving

# The fields of Model Garden's token_dropping project: its encoder file and its
# Wikipedia + Books file, in our own order.
UPSTREAM_ENCODER = """
task:
  model:
    encoder:
      type: any
      any:
        attention_dropout_rate: 0.1
        dropout_rate: 0.1
        embedding_size: null
        hidden_activation: gelu
        hidden_size: 768
        initializer_range: 0.02
        intermediate_size: 3072
        max_position_embeddings: 512
        num_attention_heads: 12
        num_layers: 12
        return_all_encoder_outputs: false
        token_allow_list: !!python/tuple
        - 100
        - 101
        - 102
        - 103
        token_deny_list: !!python/tuple
        - 0
        token_keep_k: 256
        token_loss_beta: 0.995
        token_loss_init_value: 10.0
        type_vocab_size: 2
        vocab_size: 30522
"""
UPSTREAM_RUN = """
task:
  init_checkpoint: ''
  model:
    cls_heads: []
  train_data:
    drop_remainder: true
    global_batch_size: 512
    input_path: %(train)s
    is_training: true
    max_predictions_per_seq: 76
    seq_length: 512
    use_next_sentence_label: false
    use_position_id: false
    use_v2_feature_names: true
  validation_data:
    drop_remainder: false
    global_batch_size: 512
    input_path: %(eval)s
    is_training: false
    max_predictions_per_seq: 76
    seq_length: 512
    use_next_sentence_label: false
    use_position_id: false
    use_v2_feature_names: true
trainer:
  checkpoint_interval: 20000
  max_to_keep: 5
  optimizer_config:
    learning_rate:
      polynomial:
        cycle: false
        decay_steps: 1000000
        end_learning_rate: 0.0
        initial_learning_rate: 0.0001
        power: 1.0
      type: polynomial
    optimizer:
      type: adamw
    warmup:
      polynomial:
        power: 1
        warmup_steps: 10000
      type: polynomial
  steps_per_loop: 1000
  summary_interval: 1000
  train_steps: 1000000
  validation_interval: 1000
  validation_steps: 64
"""


def _resolve(*flags, experiment="token_drop_bert"):
  return resolving.resolved(f"--experiment={experiment}", *flags)


def _refused(*flags, experiment="token_drop_bert"):
  said = resolving.refused(f"--experiment={experiment}", *flags)
  assert "\n" not in said
  return said


@pytest.fixture
def yaml_file(tmp_path):
  def write(text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)
  return write


# ---------------------------------------------------------------------------
# Precedence
# ---------------------------------------------------------------------------


def test_each_source_wins_over_the_one_before(yaml_file):
  path = yaml_file("trainer:\n  train_steps: 70\ntask:\n"
                   "  train_data: {input_path: from_yaml}\n")
  flags = []
  seen = []
  for flag in ("--gin_params=TRAIN_STEPS = 60", f"--config_file={path}",
               "--params_override=trainer.train_steps=80"):
    flags.append(flag)
    seen.append(_resolve(*flags).config.trainer.train_steps)
  assert seen == [60, 70, 80]
  config = _resolve(*flags, "--train_data=from_flag").config
  assert config.task.train_data.input_path == "from_flag"


@pytest.mark.parametrize("name", ["nowhere", "bert-base-uncased", "a/b"])
def test_weights_that_are_not_there_are_told_at_once(
    name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=f"^--init_checkpoint={name}: no such "
                     "folder.*nothing is downloaded.*hf download"):
    _resolve(f"--init_checkpoint={name}")
  # A run that was begun has its own weights.
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "params.yaml").touch()
  _resolve(f"--init_checkpoint={name}", "--model_dir=run")


def test_the_order_of_flags_of_different_kinds_does_not_matter(yaml_file):
  path = yaml_file("trainer: {train_steps: 70}")
  config = _resolve("--params_override=trainer.train_steps=80",
                    f"--config_file={path}").config
  assert config.trainer.train_steps == 80


def test_shorthand_flags_set_what_their_names_say(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "d.index").touch()
  config = _resolve("--train_data=a", "--eval_data=b", "--vocab_file=c",
                    "--init_checkpoint=d", "--accelerator=cpu",
                    "--num_replicas=2").config
  assert config.task.train_data.input_path == "a"
  assert config.task.validation_data.input_path == "b"
  assert config.task.vocab_file == "c"
  assert config.task.init_checkpoint == "d"
  assert config.runtime.accelerator == "cpu"
  assert config.runtime.num_replicas == 2


def test_a_tpu_address_asks_for_a_tpu():
  assert _resolve("--tpu=local").config.runtime.accelerator == "tpu"


def test_the_schedule_follows_the_steps_whatever_sets_them(yaml_file):
  path = yaml_file("trainer: {train_steps: 90}")
  for flag in ("--gin_params=TRAIN_STEPS = 90", f"--config_file={path}",
               "--params_override=trainer.train_steps=90"):
    optimizer = _resolve(flag).config.trainer.optimizer_config
    assert optimizer.learning_rate.polynomial.decay_steps == 90
    assert optimizer.warmup.polynomial.warmup_steps == 9


def test_a_schedule_of_ones_own_is_left_alone():
  optimizer = _resolve("--params_override=trainer.optimizer_config."
                       "learning_rate.polynomial.decay_steps=70"
                       ).config.trainer.optimizer_config
  assert optimizer.learning_rate.polynomial.decay_steps == 70


def test_no_warm_up_steps_is_no_warm_up():
  assert _resolve("--gin_params=WARMUP_STEPS = 0"
                  ).config.trainer.optimizer_config.warmup.type is None


def test_provenance_names_what_set_a_value(yaml_file):
  path = yaml_file("trainer:\n  seed: 3\n")
  provenance = _resolve(f"--config_file={path}", "--train_data=x",
                        "--params_override=trainer.train_steps=9").provenance
  assert provenance["trainer.seed"] == f"{path}:2"
  assert provenance["trainer.train_steps"] == "--params_override"
  assert provenance["task.train_data.input_path"] == "--train_data"
  rate = "trainer.optimizer_config.learning_rate.polynomial"
  assert provenance[f"{rate}.decay_steps"] == "trainer.train_steps"
  assert provenance["task.train_data.seq_length"] == (
      "experiment token_drop_bert")
  assert "trainer.max_to_keep" not in provenance


# ---------------------------------------------------------------------------
# Model Garden's files, and our own written out
# ---------------------------------------------------------------------------


def test_model_gardens_yaml_loads(yaml_file):
  encoder = yaml_file(UPSTREAM_ENCODER, "encoder.yaml")
  run = yaml_file(UPSTREAM_RUN % dict(train="a*", eval="b*"), "run.yaml")
  config = _resolve(f"--config_file={encoder}", f"--config_file={run}",
                    "--vocab_file=vocab.txt",
                    experiment="token_drop_bert/pretraining").config
  encoder = config.task.model.encoder.get()
  assert encoder.token_allow_list == (100, 101, 102, 103)
  assert encoder.token_deny_list == (0,)
  assert encoder.vocab_size == 30522
  assert config.task.train_data.input_path == "a*"
  assert config.trainer.checkpoint_interval == 20000
  optimizer = config.trainer.optimizer_config
  assert optimizer.learning_rate.get().initial_learning_rate == 1e-4
  assert optimizer.optimizer.get().weight_decay_rate == 0.01


def test_model_gardens_headline_file_is_not_validated_on_its_training_data(
    yaml_file):
  run = yaml_file(UPSTREAM_RUN % dict(train="a*", eval="a*"))
  flags = (f"--config_file={run}", "--vocab_file=vocab.txt")
  message = _refused(*flags, experiment="token_drop_bert/pretraining")
  assert "also trained on" in message and "--eval_data" in message
  config = _resolve(*flags, "--eval_data=",
                    experiment="token_drop_bert/pretraining").config
  assert config.task.validation_data.input_path == ""


def test_a_list_of_sections_is_checked_like_any_other(yaml_file):
  head = "{name: next_sentence, inner_dim: 768, dropout_rate: 0.1}"
  path = yaml_file(f"task: {{model: {{cls_heads: [{head}]}}, "
                   "train_data: {use_next_sentence_label: true}}")
  heads = _resolve(f"--config_file={path}").config.task.model.cls_heads
  assert [h.name for h in heads] == ["next_sentence"]
  path = yaml_file("task: {model: {cls_heads: [{nam: x}]}}")
  message = _refused(f"--config_file={path}")
  assert "no such key: nam (did you mean name?)" in message


@pytest.mark.parametrize("experiment", ["token_drop_bert", "bert"])
def test_params_yaml_round_trips(experiment, yaml_file):
  config = _resolve("--params_override=trainer.train_steps=50,"
                    "trainer.optimizer_config.learning_rate.polynomial."
                    "initial_learning_rate=1e-5", "--gin_params=SEED = 3",
                    experiment=experiment).config
  if experiment == "token_drop_bert":
    config.task.model.encoder.any.token_deny_list = (3, 4)
  text = resolve.params_text(config)
  path = yaml_file(text, "params.yaml")
  again = _resolve(f"--config_file={path}", experiment=experiment).config
  assert resolve.flatten(again) == resolve.flatten(config)
  assert again == config
  assert resolve.params_text(again) == text
  assert "!!" not in text  # Any YAML reader can read it.
  assert yaml.safe_load(text)["trainer"]["train_steps"] == 50


def test_a_list_from_the_command_line_becomes_a_tuple():
  for text in ("[1,2]", "(1, 2)"):
    encoder = _resolve(
        f"--params_override=task.model.encoder.any.token_deny_list={text}"
    ).config.task.model.encoder.get()
    assert encoder.token_deny_list == (1, 2)


# ---------------------------------------------------------------------------
# Strictness
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("text, parts", [
    ("trainer.train_step=9", ["trainer.train_step",
                              "did you mean trainer.train_steps?"]),
    ("train_steps=9", ["did you mean trainer.train_steps?"]),
    ("task.train_data.input_data=x", ["did you mean"]),
    ("task.model.encoder.any.token_keep=9", ["token_keep_k?"]),
    ("trainer.train_steps='9'", ["a whole number", "'9'"]),
    ("trainer.train_steps=many", ["a whole number"]),
    ("trainer.train_steps=9.5", ["a whole number"]),
    ("trainer.train_steps=true", ["a whole number"]),
    ("trainer.train_steps=null", ["a whole number"]),
    ("task.train_data.pack_sequences=1", ["true or false"]),
    ("task.vocab_file=5", ["a string"]),
    ("task.train_data.masking_rate=.nan", ["a number"]),
    ("task.model.encoder.any.token_deny_list=[a]", ["a whole number"]),
    ("trainer=9", ["trainer is a section"]),
    ("trainer.train_steps.x=9", ["holds a value"]),
    ("trainer.train_steps", ["is not key=value"]),
    ("task.train_data.input_path=a,b", ["'b' is not key=value", "quote"]),
    ("trainer.seed=1,trainer.seed=2", ["given twice"]),
    ("task.vocab_file='a\x01'", ["task.vocab_file", "not a value"]),
    ("task.vocab_file=[!!bool maybe]", ["task.vocab_file", "not a value"]),
    ("trainer._locked=true", ["no such key"])])
def test_a_bad_override_is_told_with_its_key(text, parts):
  message = _refused(f"--params_override={text}")
  assert message.startswith("--params_override: ")
  for part in parts:
    assert part in message


@pytest.mark.parametrize("text, parts", [
    ("trainer:\n  train_step: 9", ["mine.yaml:2", "trainer.train_steps?"]),
    ("trainer:\n  train_steps: 9k", ["mine.yaml:2", "a whole number"]),
    ("trainer:\n  seed: 1\n  seed: 2", ["mine.yaml:3", "given twice"]),
    ("trainer:\n - 1", ["mine.yaml:2", "trainer is a section"]),
    ("- 1", ["mine.yaml:1", "key: value"]),
    ("trainer: [", ["mine.yaml", "not YAML"]),
    ("trainer:\n  seed: !!bool x", ["mine.yaml:2", "trainer.seed", "value"]),
    ("trainer:\n  seed: !!int ''", ["mine.yaml:2", "trainer.seed", "value"]),
    ("trainer:\n  seed: !!timestamp x", ["mine.yaml:2", "trainer.seed"]),
    ("trainer:\n  seed: [2001-99-99]", ["mine.yaml:2", "trainer.seed"]),
    ("3: 4\n", ["mine.yaml:1", "a key must be a name"]),
    ("? [1]\n: 4\n", ["mine.yaml:1", "a key must be a name"])])
def test_a_bad_file_is_told_with_its_line(text, parts, yaml_file):
  message = _refused(f"--config_file={yaml_file(text)}")
  for part in parts:
    assert part in message


@pytest.mark.parametrize("tag", [
    "!!python/object/apply:os.system ['touch {mark}']",
    "!!python/object/new:os.system ['touch {mark}']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:official_style.errors.UserError {{a: 1}}"])
def test_a_hostile_file_builds_nothing(tag, tmp_path, yaml_file):
  mark = tmp_path / "ran"
  path = yaml_file("task:\n  vocab_file: " + tag.format(mark=mark))
  message = _refused(f"--config_file={path}")
  assert "refused" in message and "mine.yaml:2" in message
  assert not mark.exists()


def test_an_alias_bomb_is_refused_in_short(yaml_file):
  lines = ["a: &a0 [1, 1]"] + [
      f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
  assert len(_refused(f"--config_file={yaml_file(chr(10).join(lines))}")) < 500


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 5000, b"\x00"])
def test_nonsense_is_an_error_in_one_line(content, tmp_path):
  path = tmp_path / "mine.yaml"
  path.write_bytes(content)
  assert "mine.yaml" in _refused(f"--config_file={path}")


def test_params_override_takes_a_file(yaml_file):
  path = yaml_file("trainer: {train_steps: 44}")
  assert _resolve(f"--params_override={path}").config.trainer.train_steps == 44


@pytest.mark.parametrize("text, value", [
    ("*.txt", "*.txt"), ("'a,b'", "a,b"), ("gs://b/x: y", "gs://b/x: y"),
    ("it's", "it's"), ("", "")])
def test_a_path_means_itself(text, value):
  config = _resolve(
      f"--params_override=task.train_data.input_path={text}").config
  assert config.task.train_data.input_path == value


def test_numbers_may_lack_a_point(yaml_file):
  path = yaml_file("task: {model: {encoder: {any: {norm_epsilon: 1e-6}}}}")
  encoder = _resolve(f"--config_file={path}").config.task.model.encoder.get()
  assert encoder.norm_epsilon == 1e-6
