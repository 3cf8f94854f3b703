"""The benchmark: what it compares is equal, and what it writes is complete."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark  # noqa: E402
from benchmarking import case as cases  # noqa: E402
from benchmarking import contenders  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import op_categories  # noqa: E402
from benchmarking import report  # noqa: E402
from benchmarking import rounds  # noqa: E402
from benchmarking import rows  # noqa: E402
from benchmarking import weights  # noqa: E402

from official_style import tensorflow_environment  # noqa: E402
from official_style.errors import UserError  # noqa: E402

SMALL = ["--model=tiny", "--num_layers=3", "--seq_length=32", "--batch_size=4",
         "--rounds=2", "--round_seconds=0.01", "--threads=1"]


def _run(tmp_path, *flags):
  output = tmp_path / "result.json"
  assert benchmark.main(
      SMALL + list(flags) + [f"--output={output}"]) == 0
  return json.loads(output.read_text(encoding="utf-8"))


def _by_name(case):
  return {c["contender"]: c for c in case["contenders"]}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
  return _run(tmp_path_factory.mktemp("run"), "--dropout=0",
              "--contenders=ours,bert_encoder_v2,ours_token_drop")


@pytest.mark.slow
class TestRuns:

  def test_the_file_says_what_was_measured_on_what(self, result):
    assert "--model=tiny" in result["command"]
    assert result["machine"]["processor"] and result["machine"]["cores"] >= 1
    assert {"tensorflow", "tf-models-official"} <= result["versions"].keys()
    assert {"commit", "modified"} == result["revision"].keys()
    assert result["threads"] == 1

  def test_every_contender_had_every_round(self, result):
    found = _by_name(result["cases"][0])
    assert list(found) == ["ours", "bert_encoder_v2", "ours_token_drop"]
    for contender in found.values():
      assert len(contender["rounds"]) == 2
      for r in contender["rounds"]:
        assert min(r["seconds"], r["cpu_seconds"], r["ceiling_flops"],
                   r["peak_bytes"]) > 0
      summary = contender["summary"]
      assert 0 < summary["share_of_ceiling"] < 1
      assert summary["tokens_per_second"] == pytest.approx(
          4 * 32 / summary["wall_seconds"]["median"])

  def test_equal_weights_compute_equal_losses(self, result):
    losses = [c["prepared"]["parity_loss"]
              for c in result["cases"][0]["contenders"]]
    # What is left is the approximation of GELU.
    np.testing.assert_allclose(losses, losses[0], atol=2e-4)

  def test_dense_contenders_take_the_same_training_steps(self, result):
    found = _by_name(result["cases"][0])
    ours, theirs = found["ours"], found["bert_encoder_v2"]
    # After forward passes, backward passes and updates.
    assert ours["warm_up"]["loss"] == pytest.approx(
        theirs["warm_up"]["loss"], abs=5e-4)
    assert ours["warm_up"]["loss"] != ours["prepared"]["parity_loss"]

  def test_ratios_are_to_the_first(self, result):
    first, *others = result["cases"][0]["contenders"]
    assert first["summary"]["time_ratio"] == dict(median=1, min=1, max=1)
    assert first["summary"]["flops_ratio"] == 1
    dense, dropping = (other["summary"] for other in others)
    assert dropping["flops_ratio"] < 1 < dense["flops_ratio"]


@pytest.mark.slow
def test_packed_documents_waste_less_and_take_part(tmp_path):
  result = _run(tmp_path, "--workload=documents", "--modes=forward",
                "--contenders=bert_encoder_v2,ours")
  theirs, ours = result["cases"][0]["contenders"]
  assert ours["prepared"]["padding_share"] < theirs["prepared"][
      "padding_share"]
  # For as many real tokens it works on fewer positions.
  assert ours["summary"]["flops_ratio"] < 1


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None
    or importlib.util.find_spec("transformers") is None,
    reason="needs torch and transformers")
def test_hugging_face_is_the_same_model_taking_the_same_steps(tmp_path):
  result = _run(tmp_path, "--contenders=bert_encoder_v2,hf_bert",
                "--dropout=0")
  theirs, hf = result["cases"][0]["contenders"]
  assert hf["prepared"]["parity_loss"] == pytest.approx(
      theirs["prepared"]["parity_loss"], abs=1e-5)
  assert hf["warm_up"]["loss"] == pytest.approx(
      theirs["warm_up"]["loss"], abs=5e-4)
  assert "AdamW" in hf["warm_up"]["notes"]["optimizer"]


class TestFlags:

  def test_unknown_contenders_are_named(self, capsys):
    with pytest.raises(SystemExit):
      benchmark.main(["--contenders=ours,theirs"])
    assert "'theirs': choose of ours" in capsys.readouterr().err

  def test_lists_must_match_the_lengths(self, capsys):
    assert benchmark.main(
        ["--seq_length=128,512", "--batch_size=1,2,3"]) == 2
    assert "--batch_size has 3 values" in capsys.readouterr().err

  def test_layers_that_can_drop_nothing_are_told(self, tmp_path, capsys):
    assert benchmark.main([
        "--model=tiny", "--num_layers=2", "--contenders=ours_token_drop",
        "--threads=1", f"--output={tmp_path / 'x.json'}"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(
        "error: --contenders=ours_token_drop: num_layers=2: token dropping "
        "needs at least 3")

  def test_each_length_has_its_batch(self):
    args = benchmark.parser().parse_args(
        ["--seq_length=128,512", "--modes=forward,train"])
    assert [(c.mode, c.seq_length, c.batch_size)
            for c in benchmark.all_cases(args)] == [
                ("forward", 128, 8), ("forward", 512, 2), ("train", 128, 8),
                ("train", 512, 2)]

  def test_bfloat16_is_skipped_where_nothing_multiplies_it(
      self, monkeypatch, capsys):
    monkeypatch.setattr(machine, "processor_flags", lambda: ["avx2"])
    args = benchmark.parser().parse_args(["--precision=bfloat16"])
    assert benchmark.all_cases(args) == []
    assert "bfloat16: skipped" in capsys.readouterr().err

  def test_forward_has_nothing_to_drop(self, capsys):
    args = benchmark.parser().parse_args(["--modes=forward"])
    case, = benchmark.all_cases(args)
    assert [e.contender for e in benchmark.entries_of(case, args)] == [
        "ours", "bert_encoder_v2"]
    assert "training only" in capsys.readouterr().err

  def test_losses_that_differ_are_an_error(self):
    case = cases.Case(model="tiny")
    entries = [rounds.Entry("ours", case), rounds.Entry("hf_bert", case)]
    for entry, loss in zip(entries, (5.0, 5.1)):
      entry.prepared = dict(parity_loss=loss)
    with pytest.raises(UserError, match="other losses"):
      benchmark.check_parity(entries)

  def test_too_much_for_the_memory_is_an_error(self, monkeypatch):
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**30)
    with pytest.raises(UserError, match="GiB are free"):
      rounds.check_memory(
          [rounds.Entry("ours", cases.Case(model="large"))])


def test_six_layers_drop_in_the_layout_of_twelve():
  case = cases.Case(num_layers=6, seq_length=128)
  assert case.plan(True).roles == (
      "full", "full", "pass", "half", "half", "full")
  assert case.keep_k == 64


def test_a_step_costs_three_forward_passes():
  step = cases.Case(mode="train").flops(drops=False)
  assert step == 3 * cases.Case(mode="forward").flops(drops=False)


def test_a_last_layer_of_few_positions_is_counted_as_such():
  case = cases.Case(num_layers=6)
  assert case.schedule(False, True)[-2:] == ((128, 128), (19, 128))
  assert case.flops(False, True) < case.flops(False)


def test_full_rows_predict_words_that_are_not_special():
  case = cases.Case(model="tiny", batch_size=3, seq_length=32)
  batch = rows.full_rows(case)
  words = rows.vocabulary(case.sizes.vocab_size)
  assert batch["input_mask"].all()
  assert not np.isin(batch["masked_lm_ids"], words.special_ids).any()
  seen = np.take_along_axis(
      batch["input_word_ids"], batch["masked_lm_positions"], 1)
  hidden = seen == words.mask_id
  assert hidden.any()
  np.testing.assert_array_equal(
      seen[~hidden], batch["masked_lm_ids"][~hidden])
  assert (np.diff(batch["masked_lm_positions"]) > 0).all()


def test_weights_hang_on_the_name_alone():
  one = weights.draw("output/kernel", (4, 6), 4)
  np.testing.assert_array_equal(
      one.ravel(), weights.draw("output/kernel", (4, 2, 3), 4).ravel())
  assert not np.array_equal(one, weights.draw("query/kernel", (4, 6), 4))
  assert weights.draw("x/gamma", (1000,), 16).mean() == pytest.approx(
      1, abs=0.05)


def test_names_lose_the_name_of_the_model():
  for name in ("bert/bert_encoder/transformer/layer_1/output/kernel:0",
               "transformer/layer_1/output/kernel"):
    assert weights.canonical_name(name) == "transformer/layer_1/output/kernel"
  with pytest.raises(ValueError, match="not a variable of BERT"):
    weights.canonical_name("something/else:0")


def test_ratios_are_medians_of_pairs_in_a_round():
  case = cases.Case(model="tiny")
  entries = []
  for seconds in ((1.0, 2.0, 4.0), (2.0, 2.0, 6.0)):
    entries.append(rounds.Entry(
        "ours", case, dict(padding_share=0.0, parity_loss=1.0),
        dict(notes={}),
        [dict(seconds=s, cpu_seconds=s, system_seconds=0.1,
              others_cores=1.5,
              ceiling_flops=1e9, peak_bytes=2**30)
         for s in seconds]))
  ratio = report.summary(entries[1], entries[0])["time_ratio"]
  assert ratio == dict(median=1.5, min=1.0, max=2.0)
  assert "1.50" in report.table(entries)


def test_a_machine_that_was_not_alone_is_reported():
  entry = rounds.Entry(
      "ours", cases.Case(model="tiny"),
      dict(padding_share=0.0, parity_loss=1.0), dict(notes={}))
  for others, said in ((0.05, False), (0.9, True)):
    entry.rounds = [dict(
        seconds=1.0, cpu_seconds=1.0, system_seconds=0.1,
        others_cores=others, ceiling_flops=1e9, peak_bytes=2**30)]
    assert ("NOT ALONE" in report.table([entry])) == said


def test_operations_are_sorted_by_where_they_were_made(own_stacks):
  import tensorflow as tf

  from official_style.modeling.ops import row_dropout
  graph = tf.Graph()
  with graph.as_default(), tf.name_scope("layer"):
    x = tf.ones([2, 4, 4])
    scaled = tf.multiply(x, 2.0, name="mul_scale")
    dropped = row_dropout.row_dropout(
        scaled, 0.1, tf.constant([1, 2]), salt=1)
    tf.nn.softmax(dropped, name="probabilities")
  sort = op_categories.OpCategories(graph)
  name = dropped.op.name
  assert sort(name, "Mul") == op_categories.DROPOUT
  assert sort(f"gradient_tape/{name}/Mul", "Mul") == op_categories.DROPOUT
  assert sort(scaled.op.name, "Mul") == op_categories.ELEMENTWISE
  assert sort("bert/layer_0/output/einsum/Einsum",
              "_FusedMatMul") == op_categories.MATMUL
  # A product that took an activation in has its name.
  assert sort("bert/layer_0/Gelu/mul_2",
              "_MklNativeFusedMatMul") == op_categories.MATMUL
  assert sort("bert/layer_0/MatMul",
              "_MklBatchMatMulV2") == op_categories.ATTENTION
  assert sort("gradient_tape/bert/cls/predictions/MatMul",
              "MatMul") == op_categories.HEAD


def test_all_contenders_can_be_listed_without_a_framework():
  assert set(contenders.CONTENDERS) == {
      "ours", "ours_token_drop", "bert_encoder_v2",
      "bert_encoder_v2_onednn", "hf_bert"}


def test_ours_runs_under_the_kernels_that_the_product_sets(monkeypatch):
  monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
  tensorflow_environment.prepare()
  assert contenders.CONTENDERS["ours"].environment() == (
      tensorflow_environment.settings())
  # Whoever only installs Model Garden gets what TensorFlow chooses.
  assert contenders.CONTENDERS["bert_encoder_v2"].environment() == {}
