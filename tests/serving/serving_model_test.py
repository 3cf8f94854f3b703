"""Signatures answer what the checkpoint does."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_style.data import encoded_rows
from official_style.data import labelled_row
from official_style.data import vocabulary
from official_style.errors import UserError
from official_style.serving import length_buckets
from official_style.serving import serving_model
from official_style.serving import verification_cases
from tests.reference import tiny_budgets
from tests.reference import tiny_finished_run as tiny

BUCKETS = (8, tiny.LENGTH)


def _made(run, is_pair=False, buckets=BUCKETS, **options):
  return run, serving_model.ServingModel(run, buckets, is_pair, **options)


@pytest.fixture(scope="module")
def pyramid():
  return _made(tiny.classifier())


@pytest.fixture(scope="module")
def pretrained():
  return _made(tiny.pretrainer(), top_k=3, max_masks=4)


def _call(model, signature, **inputs):
  return {name: x.numpy() for name, x in model.concrete[signature](
      **{name: tf.constant(x) for name, x in inputs.items()}).items()}


def _assert_cases(run, model, is_pair):
  """All answers to nasty rows; returns those of the last text signature."""
  rows = verification_cases.rows_of(run, None, 4, is_pair)
  for case in verification_cases.of(run, rows):
    found = _call(model, case.signature, **case.inputs)
    for name, wanted in case.expected.items():
      if wanted.dtype == object:
        assert found[name].tolist() == wanted.tolist()
        continue
      np.testing.assert_allclose(
          found[name], wanted, atol=2e-5, rtol=1e-5, err_msg=case.signature)
    if case.signature == "serving_default":
      last = found
  return last


def test_a_pyramid_answers_as_its_checkpoint(pyramid):
  found = _assert_cases(*pyramid, is_pair=False)
  names = [label.decode() for label in found["label"]]
  assert names == [("bad", "good")[i] for i in found["logits"].argmax(1)]
  np.testing.assert_allclose(found["probabilities"].sum(1), 1, atol=1e-6)


def test_kernels_in_bfloat16_answer_nearly_alike():
  made = tiny.classifier(lengths=None)
  model = _made(made, buckets=(16,), precision="bfloat16")[1]
  layers = len(made.encoder.transformer_layers)
  assert [v.dtype.name for v in model.padded_weights] == [
      "bfloat16", "float32"] * 6 * layers
  assert {v.dtype.name for v in model.weights} == {"float32"}
  for case in verification_cases.of(
      made, verification_cases.rows_of(made, None, 4, False)):
    found = _call(model, case.signature, **case.inputs)
    assert found["logits"].dtype == np.float32
    differences = np.abs(found["logits"] - case.expected["logits"])
    assert differences.max() < 0.05
    assert differences.max() > 1e-5


def test_padded_kernels_are_saved_in_place_of_the_models(tmp_path):
  run, model = _made(
      tiny.classifier(lengths=None, intermediate_size=256), buckets=(16,))
  # Of the inner layer 16 columns, and as many rows of the next kernel.
  assert len(model.padded_weights) == 4 * len(run.encoder.transformer_layers)
  saved = model.weights + model.padded_weights
  assert sum(v.shape.num_elements() for v in saved) == (
      model.num_parameters
      + len(run.encoder.transformer_layers) * 16 * (16 + 1 + 16))
  assert model.num_parameters == sum(
      v.shape.num_elements() for v in run.model.variables)
  _assert_cases(run, model, is_pair=False)
  texts = np.array([b"a good film"])
  tf.saved_model.save(model, str(tmp_path), signatures=model.concrete)
  loaded = tf.saved_model.load(str(tmp_path))
  np.testing.assert_array_equal(
      loaded.signatures["serving_default"](text=tf.constant(texts))["logits"],
      _call(model, "serving_default", text=texts)["logits"])


def test_pairs_are_cut_and_joined_as_in_training():
  run = tiny.classifier(lengths=None)
  for separators, buckets in ((1, (16,)), (2, (16,))):
    run.config.task.pair_separators = separators
    _assert_cases(*_made(run, True, buckets), is_pair=True)


@pytest.mark.slow
def test_a_number_comes_in_the_units_of_its_labels():
  run, model = _made(tiny.classifier(kind="number"), buckets=(16,))
  found = _assert_cases(run, model, is_pair=False)
  np.testing.assert_allclose(
      found["score"], 10.0 + 2.0 * found["logits"][:, 0], rtol=1e-6)
  assert "label" not in found


@pytest.mark.slow
def test_a_choice_is_the_number_of_it():
  run, model = _made(tiny.classifier(kind="choice"), True, (16,))
  found = _assert_cases(run, model, is_pair=True)
  assert found["label"].tolist() == [
      b"%d" % i for i in found["logits"].argmax(1)]
  kept = _call(model, "kept_positions", **{
      name: np.ones([3, 2, 5], np.int32) for name in encoded_rows.INPUTS})
  assert kept["kept_positions"].shape == (3, 2, 3, 16)


@pytest.mark.parametrize("settings", [
    dict(selector="attention_coreset", means=True),
    pytest.param(dict(selector="attention"), marks=pytest.mark.slow),
    pytest.param(dict(selector="average_pool"), marks=pytest.mark.slow),
    pytest.param(dict(selector="random"), marks=pytest.mark.slow),
    pytest.param(dict(place="query_only"), marks=pytest.mark.slow),
    pytest.param(dict(place="pre_layer", selector="bipartite_merge"),
                 marks=pytest.mark.slow)])
def test_a_bucket_changes_nothing(settings):
  run, model = _made(tiny.classifier(**settings))
  rows = verification_cases.trimmed(run.rows([(("a good film",),)]).rows([0]))
  assert rows["input_mask"].shape[1] < 8
  wanted = run.predict([(("a good film",),)])
  for n in (rows["input_mask"].shape[1], 8, 12, 16, 40):
    wide = {name: np.pad(x, [[0, 0], [0, n - x.shape[1]]])
            for name, x in rows.items()}
    np.testing.assert_allclose(
        _call(model, "ids", **wide)["logits"], wanted, atol=2e-5)
    # A longer neighbour takes both to the longer bucket.
    both = {name: np.concatenate([
        np.pad(x, [[0, 0], [0, 16 - x.shape[1]]]), np.ones([1, 16], np.int32)])
            for name, x in rows.items()}
    np.testing.assert_allclose(
        _call(model, "ids", **both)["logits"][:1], wanted, atol=2e-5)


def test_kept_positions_are_those_of_the_checkpoint(pyramid):
  run, model = pyramid
  rows = run.rows([(("a good film",),), (("not a bad file " * 5,),)]).rows(
      np.arange(2))
  found = _call(model, "kept_positions", **rows)["kept_positions"]
  layers = run.forward({name: tf.constant(x) for name, x in rows.items()})[
      "kept_positions"]
  assert found.shape == (2, 3, 16)
  for layer, positions in enumerate(layers):
    for row, kept in enumerate(positions.numpy()):
      real = [p for p in kept if rows["input_mask"][row, p]]
      assert [p for p in found[row, layer] if p >= 0] == real


def test_ids_that_cannot_be_are_refused_with_a_word(pyramid):
  _, model = pyramid
  good = {name: np.ones([2, 6], np.int32) for name in encoded_rows.INPUTS}
  for changes, said in (
      (dict(input_word_ids=np.full([2, 6], 999, np.int32)), "the vocabulary"),
      (dict(input_word_ids=np.full([2, 6], -1, np.int32)), "below 0"),
      (dict(input_mask=np.ones([2, 7], np.int32)), "one shape"),
      (dict(input_type_ids=np.full([2, 6], 2, np.int32)), "from 0 to 1"),
      (dict(input_type_ids=np.full([2, 6], -1, np.int32)), "from 0 to 1"),
      ({name: np.ones([2, 17], np.int32) for name in good}, "more than 16")):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
      _call(model, "ids", **(good | changes))


def test_no_rows_and_rows_of_nothing_get_answers(pyramid):
  _, model = pyramid
  found = _call(model, "serving_default", text=np.array([], object))
  assert found["logits"].shape == (0, 2)
  none = {name: np.zeros([0, 0], np.int32) for name in encoded_rows.INPUTS}
  assert _call(model, "ids", **none)["logits"].shape == (0, 2)
  blank = {name: np.zeros([1, 4], np.int32) for name in encoded_rows.INPUTS}
  assert np.isfinite(_call(model, "ids", **blank)["logits"]).all()


def test_a_signature_for_each_budget():
  labels = tiny_budgets.CLASSES
  task = tiny_budgets.task(labels, dropout=0.0)
  base = tiny.classifier()
  model = tiny_budgets.model(task)
  base.config.task = task.task_config
  run = dataclasses.replace(
      base, labels=labels, task=task, model=model,
      **tiny.finished_run._graphs(model))
  _, exported = _made(run, buckets=(tiny_budgets.N,))
  assert {"ids_1x", "ids_1.5x", "ids_3x", "text_3x"} <= set(exported.concrete)
  _assert_cases(run, exported, is_pair=False)
  text = np.array([b"a good film and a bad film, not a bad one"], object)
  fast, full = (_call(exported, name, text=text)["logits"]
                for name in ("text_3x", "text_1x"))
  assert np.abs(fast - full).max() > 1e-3


def test_a_pretrained_model_gives_embeddings(pretrained):
  run, model = pretrained
  found = _assert_cases(run, model, is_pair=False)
  assert {"cls", "mean"} <= set(found)
  rows = run.rows([(("a good film",),)]).rows([0])
  states = run.encoder(
      {name: tf.constant(x) for name, x in rows.items()}, training=False)[
          "sequence_output"].numpy()[0]
  mean = states[rows["input_mask"][0] > 0].mean(0)
  text = np.array([b"a good film"], object)
  np.testing.assert_allclose(
      _call(model, "embeddings", text=text)["mean"][0], mean, atol=1e-5)


@pytest.mark.slow
def test_text_of_byte_pairs_is_cut_as_in_training():
  run, model = _made(tiny.pretrainer(words=tiny.byte_pairs()))
  _assert_cases(run, model, is_pair=False)
  text = " A good  film (it's \u6f22\u00e9)"
  wanted = run.rows([((text,),)]).rows([0])
  by_ids = _call(model, "ids", **wanted)
  by_text = _call(model, "serving_default", text=np.array(
      [text.encode()], object))
  for name, x in by_ids.items():
    np.testing.assert_allclose(by_text[name], x, atol=1e-5)


@pytest.mark.slow
def test_a_classifiers_encoder_gives_embeddings_where_asked():
  run = tiny.classifier()
  _, model = _made(run, buckets=(16,), embeddings=True)
  rows = verification_cases.rows_of(run, None, 4, False)
  (case,) = [case for case in verification_cases.of(run, rows[:1], True)
             if case.signature == "embeddings"][:1]
  found = _call(model, "embeddings", **case.inputs)
  assert set(found) == set(case.expected) >= {"cls", "mean"}
  for name, wanted in case.expected.items():
    np.testing.assert_allclose(found[name], wanted, atol=1e-5)
  with pytest.raises(UserError, match="--embeddings: a row of multiple"):
    _made(tiny.classifier(kind="choice"), embeddings=True)


def test_rows_that_do_not_fit_the_export_are_named(tmp_path, monkeypatch):
  run = tiny.classifier(lengths=None)
  row = labelled_row.LabelledRow((("a", "b"),), "good", "1", "x.tsv")
  monkeypatch.setattr(type(run), "evaluation_rows", lambda self: [row])
  with pytest.raises(UserError, match="evaluated on: a row has 2 texts, and "
                     "the export reads 1 text: leave --pair"):
    verification_cases.rows_of(run, None, 4, False)
  path = tmp_path / "a.txt"
  path.write_text("a good film")
  with pytest.raises(UserError, match=r"a\.txt: a row has 1 text, and the "
                     "export reads 2 texts: give rows"):
    verification_cases.rows_of(run, str(path), 4, True)


def test_rows_of_choices_are_read_from_a_file(tmp_path):
  run = tiny.classifier(kind="choice", lengths=None)
  task = run.config.task
  task.text_columns, task.choice_columns = "question", "one,two"
  task.label_column = "answer"
  path = tmp_path / "rows.tsv"
  path.write_text("question\tone\ttwo\tanswer\na film\tgood\tbad\t0\n")
  rows = verification_cases.rows_of(run, str(path), 4, True)
  assert rows[0] == ((b"a film", b"good"), (b"a film", b"bad"))
  (case, *_) = verification_cases.of(run, rows[:1])
  assert case.inputs["text"].shape == (1, 2)


def test_masks_are_filled_with_the_most_probable_words(pretrained):
  run, model = pretrained
  case = verification_cases.masked_case(run, 3)
  found = _call(model, "masked_lm", **case.inputs)
  assert found["words"].shape == (4, 4, 3)
  assert found["positions"].tolist() == [
      [3, -1, -1, -1], [1, 2, 6, -1], [-1] * 4, [-1] * 4]
  np.testing.assert_allclose(
      found["probabilities"], case.expected["probabilities"][:, :4], atol=1e-5)
  assert (found["words"][3] == b"").all()
  assert found["words"][0, 0, 0].decode() in run.vocabulary.tokens


@pytest.mark.slow
def test_texts_of_bytes_are_read():
  run = tiny.classifier(lengths=None)
  words = vocabulary.of_bytes()
  encoder = run.config.task.model.encoder.any
  encoder.vocab_size = words.size
  model = run.task.build_model()
  model(run.task.example(), training=False)
  tiny.tiny_models.randomize(model, 3)
  run = dataclasses.replace(
      run, vocabulary=words, tokenizer=tiny.tokenizer.tokenizer_of(words),
      model=model, **tiny.finished_run._graphs(model))
  _assert_cases(*_made(run, buckets=(16,)), is_pair=False)


def test_buckets_are_powers_of_two_up_to_the_runs_length():
  assert length_buckets.of(200) == (32, 64, 128, 200)
  assert length_buckets.of(16) == (16,)
  assert length_buckets.of(128, (128, 48)) == (48, 128)
  with pytest.raises(UserError, match="4 to 128"):
    length_buckets.of(128, (256,))
