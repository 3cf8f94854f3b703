"""What a fine-tuning run takes from the run whose weights it starts from."""

import pytest
import yaml

from official_style.configs import checkpoint_sizes
from official_style.configs import encoders
from official_style.configs import fine_tuning
from official_style.errors import UserError


def _task(init="", vocab_file="", **sizes):
  task = fine_tuning.SentencePredictionTaskConfig(
      init_checkpoint=init, vocab_file=vocab_file)
  unset = dict(hidden_size=0, num_layers=0, num_attention_heads=0,
               intermediate_size=0, max_position_embeddings=0,
               type_vocab_size=0, norm_epsilon=0.0, initializer_range=0.0)
  task.model.encoder.any = encoders.FastBertEncoderConfig(**(unset | sizes))
  return task


@pytest.fixture
def run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  folder = tmp_path / "runs" / "token_drop_bert"
  (folder / "data").mkdir(parents=True)
  (folder / "checkpoints" / "ckpt-5").mkdir(parents=True)
  (folder / "checkpoints" / "checkpoint").write_text("")
  (folder / "data" / "vocab.txt").write_text("a\n")
  encoder = encoders.FastBertEncoderConfig(
      hidden_size=48, num_layers=3, num_attention_heads=6,
      intermediate_size=96, max_position_embeddings=64, norm_first=True,
      norm_epsilon=1e-6, hidden_activation="relu")
  (folder / "params.yaml").write_text(yaml.safe_dump(dict(task=dict(
      lower_case=False, model=dict(encoder=dict(any=encoder.as_dict()))))))
  return folder


@pytest.mark.parametrize("path", [
    "", "checkpoints", "checkpoints/ckpt-5", "checkpoints/ckpt-5/ckpt"])
def test_sizes_and_vocabulary_are_those_of_the_run(run, path):
  task = _task(str(run / path))
  checkpoint_sizes.fill(task)
  encoder = task.model.encoder.get()
  assert (encoder.hidden_size, encoder.num_layers, encoder.norm_first,
          encoder.norm_epsilon, encoder.hidden_activation,
          encoder.max_position_embeddings) == (48, 3, True, 1e-6, "relu", 64)
  assert task.vocab_file == str(run / "data" / "vocab.txt")
  assert task.lower_case is False
  assert encoder.dropout_rate == 0.1  # How it trains is its own affair.


@pytest.mark.parametrize("sizes, parts", [
    (dict(hidden_size=128), ["hidden_size=128", "have 48"]),
    (dict(num_attention_heads=4), ["num_attention_heads=4", "have 6"])])
def test_another_size_is_an_error_with_both(run, sizes, parts):
  with pytest.raises(UserError) as caught:
    checkpoint_sizes.fill(_task(str(run), **sizes))
  for part in parts:
    assert part in str(caught.value)


def test_fewer_layers_have_to_be_asked_for(run):
  task = _task(str(run), num_layers=2)
  with pytest.raises(UserError, match="num_layers=2: .* have 3: give "
                     "--params_override=task.drop_top_layers=true"):
    checkpoint_sizes.fill(task)
  task.drop_top_layers = True
  checkpoint_sizes.fill(task)
  encoder = task.model.encoder.get()
  assert (encoder.num_layers, encoder.hidden_size) == (2, 48)
  task = _task(str(run), num_layers=4)
  task.drop_top_layers = True
  with pytest.raises(UserError, match="num_layers=4"):
    checkpoint_sizes.fill(task)


def test_the_same_size_said_again_is_none(run):
  checkpoint_sizes.fill(_task(str(run), hidden_size=48))


def test_another_vocabulary_is_an_error(run, tmp_path):
  (tmp_path / "other.txt").write_text("b\n")
  with pytest.raises(UserError, match="not the vocabulary of the weights"):
    checkpoint_sizes.fill(_task(str(run), str(tmp_path / "other.txt")))


def test_auto_is_the_main_job_when_there_is_one(run, tmp_path, monkeypatch):
  task = _task("auto")
  checkpoint_sizes.fill(task)
  assert task.init_checkpoint == "runs/token_drop_bert"
  assert task.model.encoder.get().hidden_size == 48
  (tmp_path / "empty").mkdir()
  monkeypatch.chdir(tmp_path / "empty")
  task = _task("auto", num_layers=5)
  checkpoint_sizes.fill(task)
  encoder = task.model.encoder.get()
  assert task.init_checkpoint == ""
  assert (encoder.hidden_size, encoder.num_layers) == (128, 5)


@pytest.mark.parametrize("below", ["", "seed-0"])
def test_a_run_that_was_begun_keeps_what_it_began_from(run, tmp_path, below):
  """The main job came into being later."""
  mine = tmp_path / "mine" / below
  mine.mkdir(parents=True)
  (mine / "params.yaml").write_text("task: {init_checkpoint: ''}")
  task = _task("auto")
  checkpoint_sizes.fill(task, str(tmp_path / "mine"))
  assert task.init_checkpoint == ""


def test_a_checkpoint_in_no_run_folder_needs_sizes_and_vocabulary(tmp_path):
  (tmp_path / "bert.ckpt.index").write_text("")
  path = str(tmp_path / "bert.ckpt")
  with pytest.raises(UserError) as caught:
    checkpoint_sizes.fill(_task(path, hidden_size=64))
  assert "num_layers" in str(caught.value)
  assert "vocab_file" in str(caught.value)
  assert "hidden_size," not in str(caught.value)
  given = dict(hidden_size=64, num_layers=2, num_attention_heads=2,
               intermediate_size=8)
  checkpoint_sizes.fill(_task(path, "vocab.txt", **given))


def test_damaged_params_are_one_line(run):
  (run / "params.yaml").write_text("{[")
  with pytest.raises(UserError, match="params.yaml: is no configuration"):
    checkpoint_sizes.fill(_task(str(run)))


@pytest.mark.parametrize("encoder, word", [
    (None, "holds no task.model.encoder.any"), ([], "holds no task.model"),
    (dict(num_layers="x"), "any.num_layers='x': no value of that name"),
    (dict(hidden_activation=[1]), r"any.hidden_activation=\[1\]")])
def test_params_of_other_types_are_one_line(run, encoder, word):
  (run / "params.yaml").write_text(yaml.safe_dump(dict(task=dict(
      model=dict(encoder=dict(any=encoder))))))
  with pytest.raises(UserError, match=word) as error:
    checkpoint_sizes.fill(_task(str(run)))
  assert "params.yaml" in str(error.value)


# ---------------------------------------------------------------------------
# Longer rows, other attention, other tokens
# ---------------------------------------------------------------------------


def _long(init="", n=2048, extend=False, tokenizer="wordpiece", **sizes):
  task = _task(init, **sizes)
  task.train_data.seq_length = task.validation_data.seq_length = n
  task.extend_positions, task.tokenizer = extend, tokenizer
  checkpoint_sizes.fill(task)
  return task


def test_without_a_checkpoint_there_are_positions_for_all_tokens():
  assert _long().model.encoder.get().max_position_embeddings == 2048
  assert _long(n=64).model.encoder.get().max_position_embeddings == 512


def test_a_checkpoints_positions_are_extended_only_if_asked(run):
  assert _long(str(run)).model.encoder.get().max_position_embeddings == 64
  assert _long(
      str(run), extend=True).model.encoder.get().max_position_embeddings == 2048
  assert _long(str(run), 32, extend=True
               ).model.encoder.get().max_position_embeddings == 64
  assert _long(str(run), extend=True, max_position_embeddings=4096
               ).model.encoder.get().max_position_embeddings == 4096
  with pytest.raises(UserError, match="task.extend_positions=true"):
    _long(str(run), max_position_embeddings=4096)
  with pytest.raises(UserError, match="have 64"):
    _long(str(run), extend=True, max_position_embeddings=32)


def _change(run, **changes):
  path = run / "params.yaml"
  params = yaml.safe_load(path.read_text())
  for name in ("tokenizer",):
    if name in changes:
      params["task"][name] = changes.pop(name)
  params["task"]["model"]["encoder"]["any"] |= changes
  path.write_text(yaml.safe_dump(params))


def test_weights_go_on_with_their_attention(run):
  _change(run, attention="favor", favor_features=77)
  encoder = _long(str(run)).model.encoder.get()
  assert (encoder.attention, encoder.favor_features) == ("favor", 77)


def test_weights_of_softmax_take_any_attention(run):
  encoder = _long(str(run), attention="favor", favor_features=55
                  ).model.encoder.get()
  assert (encoder.attention, encoder.favor_features) == ("favor", 55)


def test_weights_of_bytes_are_of_bytes(run):
  _change(run, tokenizer="bytes")
  assert _long(str(run)).tokenizer == "bytes"
  assert _long("auto").init_checkpoint  # The main job.


def test_weights_of_words_are_not_of_bytes(run):
  with pytest.raises(UserError, match="task.tokenizer=bytes: the weights of"):
    _long(str(run), tokenizer="bytes")
  # Nobody asked for those: they are left alone.
  assert _long("auto", tokenizer="bytes").init_checkpoint == ""
