"""Fine-tuned classifiers of other projects: in, out, and the same answers."""

import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from official_style.checkpoints import conversion
from official_style.checkpoints import run_writer
from official_style.data import label_sets
from official_style.errors import UserError
from official_style.reporting import shown_rows
from official_style.serving import savedmodel_export
from official_style.training import finished_run
from official_style.training import initial_weights
from tests.reference import byte_pairs
from tests.reference import huggingface_bert as reference
from tests.reference import transformers_process

_BERT, _ROBERTA = ("BertForSequenceClassification",
                   "RobertaForSequenceClassification")
_D = reference.CONFIG["hidden_size"]
_LABELS = {"0": "spam", "1": "ham", "2": "eggs"}
BYTE_PAIRS = byte_pairs.made_of(["the", "hat"])


def _bert(folder, config=None, outputs=3, pooler=True, vocab=reference.VOCAB):
  """A folder with a BERT's classifier; its path and tensors."""
  config = reference.CONFIG | dict(
      architectures=[_BERT], id2label=_LABELS) | (config or {})
  arrays = reference.tensors(config, head=False, pooler=pooler)
  arrays |= _dense("classifier", outputs)
  return reference.write(folder, config, arrays, vocab)


def _roberta(folder):
  """The same of a RoBERTa, whose head has a pooler of its own."""
  config = reference.CONFIG | dict(
      model_type="roberta", architectures=[_ROBERTA], id2label=_LABELS,
      type_vocab_size=1, max_position_embeddings=18,
      vocab_size=len(BYTE_PAIRS[0]))
  arrays = reference.tensors(
      config, prefix="roberta.", head=False, pooler=False)
  arrays |= _dense("classifier.dense", _D) | _dense("classifier.out_proj", 3)
  found = reference.write(folder, config, arrays, vocab=None)
  byte_pairs.write(folder, *BYTE_PAIRS)
  return found


def _dense(name, outputs):
  rng = np.random.default_rng(len(name))
  return {f"{name}.weight": rng.normal(0, 1, (outputs, _D)).astype(np.float32),
          f"{name}.bias": rng.normal(0, 1, outputs).astype(np.float32)}


def _convert(source, output, target, without_head=False):
  lines = []
  conversion.convert(str(source), str(output), target, without_head, True,
                     lines.append)
  return "\n".join(lines)


def _tensors(folder):
  return safetensors.numpy.load_file(pathlib.Path(folder) / "model.safetensors")


def _logits(arrays, roberta=False):
  """What `transformers` computes of a row of ids, from the definition."""
  ids = np.arange(5, 14)[np.newaxis]
  states, pooled, _ = reference.forward(
      dict(type_vocab_size=1) if roberta else {}, arrays, ids,
      np.ones_like(ids), np.zeros_like(ids), 2 if roberta else 0)
  last = "classifier"
  if roberta:
    pooled = np.tanh(states[-1][:, 0] @ arrays["classifier.dense.weight"].T
                     + arrays["classifier.dense.bias"])
    last = "classifier.out_proj"
  return pooled @ arrays[f"{last}.weight"].T + arrays[f"{last}.bias"]


def _answers(run):
  ids = np.arange(5, 14)[np.newaxis]
  rows = {name: tf.constant(x, tf.int32) for name, x in dict(
      input_word_ids=ids, input_mask=np.ones_like(ids),
      input_type_ids=np.zeros_like(ids)).items()}
  return run.forward(rows)["logits"].numpy()


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_classifier_becomes_a_run_that_answers_the_same(tmp_path, kind):
  roberta = kind == "roberta"
  folder, arrays = (_roberta if roberta else _bert)(str(tmp_path / "hf"))
  said = _convert(folder, tmp_path / "run", "run")
  assert "unexpected  none" in said and "logits by 0.0e+00" in said
  assert "left out" not in said
  run = finished_run.load(str(tmp_path / "run"))
  assert run.labels == label_sets.LabelSet("class", ("spam", "ham", "eggs"))
  assert run.pair_separators == 1 + roberta
  np.testing.assert_allclose(
      _answers(run), _logits(arrays, roberta), rtol=1e-5, atol=1e-5)
  with pytest.raises(UserError, match="converted, and brought no rows"):
    run.evaluation_rows()

  # And back, where RoBERTa's head is the pooler and classifier of a BERT.
  said = _convert(tmp_path / "run", tmp_path / "back", "huggingface")
  assert "left out" not in said
  back = _tensors(tmp_path / "back")
  np.testing.assert_allclose(
      _logits(back), _logits(arrays, roberta), rtol=1e-12)
  if not roberta:
    assert back.keys() == arrays.keys()
    for name, value in back.items():
      np.testing.assert_array_equal(value, arrays[name], err_msg=name)
  config = json.loads((tmp_path / "back" / "config.json").read_text())
  assert config["architectures"] == [_BERT]
  assert config["id2label"] == _LABELS
  assert config["label2id"] == {"spam": 0, "ham": 1, "eggs": 2}
  assert config["problem_type"] == "single_label_classification"


def test_a_folder_that_is_no_run_names_the_converter(tmp_path):
  folder, _ = _bert(str(tmp_path / "hf"))
  with pytest.raises(UserError, match="convert_checkpoint.py --to=run"):
    finished_run.load(folder)


def test_one_output_is_a_number(tmp_path):
  folder, arrays = _bert(
      str(tmp_path / "hf"), dict(id2label={"0": "LABEL_0"}), outputs=1)
  _convert(folder, tmp_path / "run", "run")
  run = finished_run.load(str(tmp_path / "run"))
  assert run.labels == label_sets.LabelSet("number")
  np.testing.assert_allclose(_answers(run), _logits(arrays), rtol=1e-5)

  # Trained here, it gives numbers of a mean of 0 and a spread of 1.
  labels = label_sets.LabelSet("number", mean=20.0, scale=4.0).to_dict()
  for file, key in (("run.json", "data"), ("data/labels.json", None)):
    path = tmp_path / "run" / file
    value = json.loads(path.read_text())
    path.write_text(json.dumps(
        value | {key: value[key] | dict(labels=labels)} if key else labels))
  _convert(tmp_path / "run", tmp_path / "back", "huggingface")
  np.testing.assert_allclose(
      _logits(_tensors(tmp_path / "back")), 20 + 4 * _logits(arrays),
      rtol=1e-6)
  assert json.loads((tmp_path / "back" / "config.json").read_text())[
      "problem_type"] == "regression"


def test_without_names_labels_are_those_of_transformers(tmp_path):
  folder, _ = _bert(str(tmp_path / "hf"), dict(id2label=None))
  assert conversion.read(folder).classifier.class_names == (
      "LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize("names", [
    {"0": "a", "1": "b"}, {"0": "a", "1": "b", "3": "c"},
    {"0": "a", "1": "b", "2": "a"}, {"0": "a", "1": "b", "2": ""},
    {"0": "a", "1": "b", "2": 3}, ["a", "b", "c"]])
def test_names_that_are_not_of_the_classes_are_refused(tmp_path, names):
  folder, _ = _bert(str(tmp_path / "hf"), dict(id2label=names))
  with pytest.raises(UserError, match="must name the 3 classes"):
    conversion.read(folder)


@pytest.mark.parametrize("changes, said", [
    (dict(config=dict(problem_type="multi_label_classification")),
     "problem_type='multi_label_classification' and 3 outputs"),
    (dict(config=dict(problem_type="regression")), "'regression' and 3"),
    (dict(pooler=False), "reads a pooler, which is not there"),
    (dict(config=dict(architectures=["BertForTokenClassification"])), None)])
def test_what_ours_does_not_compute_is_not_taken(tmp_path, changes, said):
  folder, _ = _bert(str(tmp_path / "hf"), **changes)
  weights = conversion.read(folder)
  assert weights.classifier is None
  assert weights.unused == ("classifier.bias", "classifier.weight")
  assert [said in note for note in weights.notes] == [True] * bool(said)
  _convert(folder, tmp_path / "run", "run")
  assert finished_run.load(str(tmp_path / "run")).labels is None


def test_half_a_classifier_is_refused_and_none_is_said(tmp_path):
  folder, arrays = _bert(str(tmp_path / "hf"))
  config = json.loads((tmp_path / "hf" / "config.json").read_text())
  del arrays["classifier.bias"]
  reference.write(folder, config, arrays)
  with pytest.raises(UserError, match="classifier/out_proj/bias"):
    _convert(folder, tmp_path / "run", "run")
  del arrays["classifier.weight"]
  reference.write(folder, config, arrays)
  assert "no classifier.weight is there" in _convert(
      folder, tmp_path / "run", "run")


def test_where_labels_have_no_place_the_classifier_is_left_out(tmp_path):
  folder, _ = _bert(str(tmp_path / "hf"))
  for target, without_head in (("model_garden", False), ("huggingface", True),
                               ("run", True)):
    output = tmp_path / f"{target}-{without_head}"
    said = _convert(folder, output, target, without_head)
    assert ("left out: classifier/out_proj/kernel, classifier/out_proj/bias"
            in said)
    path = output / "bert_model.ckpt" if target == "model_garden" else output
    assert conversion.read(str(path)).classifier is None
  assert json.loads((tmp_path / "huggingface-True" / "config.json").read_text()
                    )["architectures"] == ["BertModel"]


@pytest.mark.parametrize("names, said", [
    (("spam", "ham", "eggs"), "for the same labels"),
    # Those of training rows are in the order of the alphabet.
    (("eggs", "ham", "spam"), "for the same labels"),
    (("spam", "ham", "milk"), "for other labels")])
def test_fine_tuning_goes_on_from_a_head_for_the_same_labels(
    tmp_path, names, said):
  folder, arrays = _bert(str(tmp_path / "hf"))
  _convert(folder, tmp_path / "run", "run")
  model = finished_run.load(str(tmp_path / "run")).model
  labels = label_sets.LabelSet("class", names)
  for source in (folder, str(tmp_path / "run")):
    model.classifier.out_proj.kernel.assign(tf.zeros([_D, 3]))
    model.classifier.out_proj.bias.assign(tf.zeros([3]))
    report = initial_weights.load(model, source, labels=labels)
    assert said in report.describe()
    same = "same" in said
    order = [[*_LABELS.values()].index(x) if same else 0 for x in names]
    for ours, name in (("kernel", "weight"), ("bias", "bias")):
      np.testing.assert_array_equal(
          getattr(model.classifier.out_proj, ours),
          same * arrays[f"classifier.{name}"][order].T)
    if source == folder:
      assert ("classifier.weight" in report.unused) == (not same)


def test_a_classifier_of_pairs_is_told_their_columns(tmp_path):
  folder, _ = _bert(str(tmp_path / "hf"))
  for columns, is_pair in (("text", False), ("question, passage", True)):
    path = tmp_path / columns
    conversion.convert(
        folder, str(path), "run", False, True, lambda line: None,
        run_writer.RunRows(text_columns=columns, label_column="answer"))
    run = finished_run.load(str(path))
    assert savedmodel_export.is_pair_of(run, None) == is_pair
    (tmp_path / "rows.tsv").write_text(
        "text\tpassage\tquestion\tanswer\nthe\tof\ta\tham\n")
    assert shown_rows.of_file(run, str(tmp_path / "rows.tsv"), 9) == [
        ((("a", "of") if is_pair else ("the",),), "ham")]
  with pytest.raises(UserError, match="not 3 columns"):
    conversion.convert(
        folder, str(tmp_path / "no"), "run", False, False, lambda line: None,
        run_writer.RunRows(text_columns="a,b,c"))


@transformers_process.needs_transformers
@pytest.mark.parametrize("kind", [_BERT, _ROBERTA])
def test_transformers_answers_the_same(tmp_path, kind):
  folder, arrays = (_roberta if kind == _ROBERTA else _bert)(
      str(tmp_path / "hf"))
  _convert(folder, tmp_path / "run", "run")
  _convert(tmp_path / "run", tmp_path / "back", "huggingface")
  ids = np.arange(5, 14)[np.newaxis]
  # What comes back of either is a BERT.
  for place, architecture in ((folder, kind), (tmp_path / "back", _BERT)):
    said = transformers_process.ask(place, architecture, ids)
    assert not any(said.wrong.values()), said.wrong
    assert said.labels == _LABELS
    np.testing.assert_allclose(
        said.outputs["logits"], _logits(arrays, kind == _ROBERTA),
        rtol=1e-4, atol=1e-5)
