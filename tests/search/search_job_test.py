"""A whole search on a tiny run, through the command's front door."""

import json
import shlex
import shutil

import pytest

from official_style import train as train_lib
from official_style.checkpoints import conversion
from official_style.checkpoints import run_writer
from official_style.configs import schedule_file
from official_style.errors import UserError
from official_style.search import evaluation_log
from official_style.search import fine_tuned_run
from official_style.search import latency_measuring
from official_style.search import prefix_evaluator
from official_style.search import search_job
from tests.reference import resolving  # noqa: F401, registers experiments
from tests.reference import slow_params
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs

SIZES = dict(NUM_LAYERS=4)


@pytest.fixture(scope="module")
def tool():
  module = tiny_runs.tool("search_schedule")
  with pytest.MonkeyPatch.context() as patch:
    # TensorFlow of this process is at work, with the threads it has.
    patch.setattr(module.in_turns, "pin", module.machine.check_threads)
    patch.setattr(module, "_quiet_tensorflow", lambda: None)
    yield module


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Folder with a dense run, a pyramid and one of numbers."""
  folder = tmp_path_factory.mktemp("runs")
  data = tiny.classes(folder, rows=48)
  assert tiny.run(folder / "dense", data, EPOCHS=2.0, **SIZES) == 0
  assert tiny.run(folder / "pyramid", data, EPOCHS=0.2,
                  experiment="pyramid_bert", RETENTION_SPEEDUP=1.5,
                  TOKEN_SELECTOR="first_k", **SIZES) == 0
  return folder


def _search(tool, runs, output, *flags, run="dense", target=None):
  return tool.main([
      f"--model_dir={runs / run}", f"--output={output}", "--search_rows=20",
      "--evaluations=14", "--population=4", "--rounds=2", "--batch_size=2",
      target or "--flops_speedup=1.6", *flags])


def _without_times(path):
  """What does not depend on how fast the machine was."""
  with open(path, encoding="utf-8") as f:
    content = json.load(f)
  for one in (content, *content["baselines"].values()):
    one["latency_ms"].pop("measured")
  content["provenance"].pop("command")
  return content


@pytest.fixture(scope="module")
def found(tool, runs, tmp_path_factory):
  output = tmp_path_factory.mktemp("found") / "schedule.json"
  assert _search(tool, runs, output) == 0
  return output


def test_what_it_finds_is_within_the_target_and_told(found, runs):
  file = schedule_file.read(str(found))
  details = file.details
  assert details["flops_speedup"] >= 1.6
  assert details["budget"] == dict(flops_speedup=1.6)
  assert details["baselines"].keys() == {"dense", "exponential", "uniform"}
  kl = details["quality"]["search"]["kl"]
  assert kl <= min(details["baselines"][name]["quality"]["search"]["kl"]
                   for name in ("exponential", "uniform"))
  assert details["baselines"]["dense"]["quality"]["search"]["kl"] == 0
  for one in (details, *details["baselines"].values()):
    assert 0 <= one["quality"]["dev"]["accuracy"] <= 1
    assert one["latency_ms"]["measured"]["median"] > 0
  assert details["provenance"]["run"]["folder"] == str(runs / "dense")
  costs = [one["cost"] for one in details["front"]]
  kls = [one["quality"]["kl"] for one in details["front"]]
  assert costs == sorted(costs) and kls == sorted(kls)[::-1]


def test_a_dry_run_of_training_takes_it(found, runs, tmp_path, capsys):
  assert tiny.run(tmp_path / "next", runs / "train.tsv", "--dry_run",
                  experiment="pyramid_bert", TOKEN_SCHEDULE_FILE=str(found),
                  **SIZES) == 0
  kept = " ".join(map(str, schedule_file.read(str(found)).token_schedule))
  said = capsys.readouterr().out
  assert f"tokens kept  {kept} of 16" in said and str(found) in said


@pytest.mark.slow
def test_a_changed_file_is_noticed_when_a_run_goes_on(
    found, runs, tmp_path, capsys):
  mine = tmp_path / "mine.json"
  content = json.loads(found.read_text())
  mine.write_text(json.dumps(content))
  train = dict(experiment="pyramid_bert", TOKEN_SCHEDULE_FILE=str(mine),
               EPOCHS=0.2, **SIZES)
  assert tiny.run(tmp_path / "run", runs / "train.tsv", **train) == 0
  content["token_schedule"][0] -= 1
  content["token_schedule"][1:] = [1, 1, 1]
  mine.write_text(json.dumps(content))
  assert tiny.run(tmp_path / "run", runs / "train.tsv", **train) == 2
  assert "token_schedule_digest was" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_it_ends_with_keeps_length_and_attention(
    tool, runs, tmp_path, capsys):
  data = str(runs / "train.tsv")
  assert tiny.run(tmp_path / "long", data, EPOCHS=0.2, FAVOR_FEATURES=16,
                  experiment="bert/performer", SEQ_LENGTH=24) == 0
  capsys.readouterr()
  output = tmp_path / "schedule.json"
  assert _search(tool, tmp_path, output, "--strategy=family", run="long",
                 target="--flops_speedup=1.1") == 0
  said = capsys.readouterr().out
  command, = [line for line in said.splitlines() if "python train.py" in line]
  words = shlex.split(command)[1:]
  assert "--experiment=pyramid_bert/performer" in words
  assert f"--init_checkpoint={tmp_path / 'long'}" in words
  assert tiny_runs.run_here([
      *words, f"--model_dir={tmp_path / 'next'}", "--dry_run"]) == 0
  kept = " ".join(map(str, schedule_file.read(str(output)).token_schedule))
  said = capsys.readouterr().out
  assert f"tokens kept  {kept} of 24" in said and "scaled" not in said
  assert "favor" in said


def test_cluster_means_are_two_settings_of_the_selection(tool):
  def selection(*flags):
    args = tool.parser().parse_args(["--model_dir=x", "--speedup=2", *flags])
    return tool.options_of(args, []).selection

  assert selection() == {}
  assert selection("--token_selector=attention_coreset", "--cluster_means") == (
      dict(token_selector="attention_coreset", merge_tokens=True,
           proportional_attention=True))
  assert selection("--cluster_means", "--proportional_attention=false") == (
      dict(merge_tokens=True, proportional_attention=False))


class _Killed(Exception):
  pass


def test_a_search_that_was_killed_ends_with_the_same_file(
    tool, runs, found, tmp_path, monkeypatch, capsys):
  output = tmp_path / "schedule.json"
  whole, calls = prefix_evaluator.PrefixEvaluator.logits, []

  def logits(self, rows, lists, show=lambda done: None):
    calls.append(len(lists))
    if len(calls) == 4:
      raise _Killed
    return whole(self, rows, lists, show)

  monkeypatch.setattr(prefix_evaluator.PrefixEvaluator, "logits", logits)
  with pytest.raises(_Killed):
    _search(tool, runs, output)
  log = tmp_path / "schedule.evaluations.jsonl"
  log.write_bytes(log.read_bytes()[:-3])  # The kernel's part.
  assert not output.exists()
  known = len(log.read_bytes().splitlines()) - 2  # The first, and the cut one.
  assert 0 < known < 14
  calls.append("on")
  assert _search(tool, runs, output) == 0
  assert _without_times(output) == _without_times(found)
  assert (f"14 lists, {14 - known} of them evaluated now"
          in capsys.readouterr().err)


def test_latencies_are_measured_once_and_used_again(
    tool, runs, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(latency_measuring, "_SHARES", (0.5, 1))
  output = tmp_path / "schedule.json"
  assert _search(tool, runs, output, target="--latency_ms=1000") == 2
  assert "the model with all tokens is within that" in capsys.readouterr().err
  table = tmp_path / "schedule.latency.json"
  before = table.read_bytes()
  dense = json.loads(before)["fixed_ms"] + 4 * max(
      json.loads(before)["layer"]["kept_all_ms"])
  assert _search(tool, runs, tmp_path / "other.json",
                 f"--latency_table={table}",
                 target=f"--latency_ms={0.9 * dense}") in (0, 2)
  assert "latencies measured before" in capsys.readouterr().err
  assert table.read_bytes() == before
  assert not (tmp_path / "other.latency.json").exists()
  assert _search(tool, runs, output, "--batch_size=3",
                 f"--latency_table={table}", target="--speedup=2") == 2
  assert "batch_size=2, and this search is for 3" in capsys.readouterr().err


def test_a_run_that_selects_is_searched_for_its_own_selection(
    tool, runs, tmp_path, capsys):
  output = tmp_path / "schedule.json"
  assert _search(tool, runs, output, "--strategy=family",
                 run="pyramid", target="--memory_share=0.7") == 0
  file = schedule_file.read(str(output))
  assert file.selection["token_selector"] == "first_k"
  assert file.details["memory_share"] <= 0.7
  assert {one["origin"] for one in file.details["front"]} <= {
      "family", "uniform"}
  assert _search(tool, runs, output, "--token_selector=coreset",
                 run="pyramid") == 2
  assert "was trained with first_k" in capsys.readouterr().err


@pytest.mark.slow
def test_divergence_is_from_the_same_list_on_all_rows(
    tool, runs, tmp_path, monkeypatch):
  output = tmp_path / "schedule.json"
  with monkeypatch.context() as patch:
    # As if the run did better with its own list than with all tokens.
    patch.setattr(search_job.np, "argmin", lambda losses: len(losses) - 1)
    assert _search(tool, runs, output, "--strategy=family",
                   run="pyramid", target="--memory_share=0.7") == 0
  details = schedule_file.read(str(output)).details
  assert details["search"]["kl_from"] != [16] * 4
  dense = details["baselines"]["dense"]["quality"]
  assert dense["search"]["kl"] > 0 and dense["dev"]["kl"] > 0


@pytest.mark.slow
def test_weights_for_any_budget_are_searched_a_list_at_a_time(
    tool, runs, tmp_path):
  assert tiny.run(tmp_path / "run", runs / "train.tsv", EPOCHS=0.5,
                  experiment="pyramid_bert/any_budget", **SIZES) == 0
  output = tmp_path / "schedule.json"
  assert _search(tool, tmp_path, output, run="run") == 0
  details = schedule_file.read(str(output)).details
  assert details["search"]["metric"] == "accuracy"
  assert details["flops_speedup"] >= 1.6


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
  """Folder with a run that is judged by whole questions."""
  folder = tmp_path_factory.mktemp("asked")
  decides = {"trainer.best_checkpoint_eval_metric": "best_candidate"}
  assert tiny.run(folder / "run", tiny.questions(folder), "--task_name=MultiRC",
                  params=decides, EPOCHS=0.5, SEQ_LENGTH=24) == 0
  return folder


@pytest.mark.parametrize("fitness", slow_params.all_but(
    ["metric"], ["kl", "metric"]))
def test_questions_with_several_candidates_are_judged_as_a_whole(
    tool, asked, tmp_path, fitness, capsys):
  output = tmp_path / "schedule.json"
  assert _search(tool, asked, output, f"--fitness={fitness}",
                 "--search_rows=11", run="run", target="--flops_speedup=1.1",
                 ) == 0
  details = schedule_file.read(str(output)).details
  assert details["search"]["metric"] == "best_candidate"
  # Each has two candidates, and both are there: 11 rows were asked for.
  assert details["search"]["rows"] == 10
  assert details["search"]["questions"] == 5
  for part in ("search", "dev"):
    assert 0 <= details["quality"][part]["best_candidate"] <= 1
    assert 0 <= details["quality"][part]["exact_match"] <= 1
  assert ("best candidate: on 10 training rows, of 5 questions"
          in capsys.readouterr().out)


@pytest.mark.slow
def test_shares_of_a_rows_own_tokens_are_not_searched(
    tool, runs, tmp_path, capsys):
  assert tiny.run(tmp_path / "run", runs / "train.tsv", EPOCHS=0.2, params={
      "task.model.encoder.any.retention_relative": "true"},
                  experiment="pyramid_bert", **SIZES) == 0
  assert _search(tool, tmp_path, tmp_path / "x.json", run="run") == 2
  assert "retention_relative" in capsys.readouterr().err


@pytest.mark.parametrize("flags, said", [
    (["--flops_speedup=1"], "--flops_speedup=1: must be above 1"),
    (["--memory_share=1.5"], "must lie between 0 and 1"),
    (["--latency_ms=0"], "must be above 0"),
    (["--flops_speedup=500"], "gets to"),
    (["--flops_speedup=2", "--evaluations=0"], "--evaluations=0"),
    (["--flops_speedup=2", "--threads=1000"], "--threads=1000"),
    (["--flops_speedup=2", "--token_selector=corset"], "must be one of"),
    (["--flops_speedup=2", "--selection_place=above"], "must be one of"),
    (["--flops_speedup=2", "--token_selector=first_k", "--coreset_m=2"],
     "coreset_m=2"),
    (["--flops_speedup=2", "--token_selector=first_k",
      "--coreset_metric=cosine"], "--coreset_metric=cosine"),
    (["--speedup=2", "--latency_table=no.json"], "--latency_table=no.json"),
    (["--flops_speedup=2", "--output=no/folder/x.json"], "there is no folder"),
    (["--flops_speedup=2", "--output=."], "is a folder"),
    (["--flops_speedup=2", "--output=/proc/x.json"], "can't be written"),
    (["--flops_speedup=2", "--model_dir=no/run"], "no such folder")])
def test_mistakes_are_told_in_one_line(
    tool, runs, tmp_path, monkeypatch, capsys, flags, said):
  monkeypatch.chdir(tmp_path)
  assert tool.main([f"--model_dir={runs / 'dense'}", *flags]) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith("error: ") and said in message


def test_files_of_others_stay(tool, runs, tmp_path, capsys):
  output = tmp_path / "params.yaml"
  output.write_text("mine: true\n", encoding="utf-8")
  assert tool.main([f"--model_dir={runs / 'dense'}", "--flops_speedup=2",
                    f"--output={output}"]) == 2
  assert "params.yaml: there is another file" in capsys.readouterr().err
  assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_search_beside_another_measures_nothing(
    tool, runs, tmp_path, capsys):
  other = evaluation_log.EvaluationLog(str(tmp_path / "x.evaluations.jsonl"))
  assert tool.main([f"--model_dir={runs / 'dense'}", "--speedup=2",
                    f"--output={tmp_path / 'x.json'}"]) == 2
  assert "another search is at work there" in capsys.readouterr().err
  assert not (tmp_path / "x.latency.json").exists()
  other.close()
  assert not any(tmp_path.iterdir())


def test_a_run_that_ended_before_its_warm_up_can_be_searched(runs, tmp_path):
  shutil.copytree(runs / "dense", tmp_path / "run")
  params = tmp_path / "run" / "params.yaml"
  content = params.read_text()
  assert content.count("warmup_steps: null") >= 1
  params.write_text(content.replace("warmup_steps: null", "warmup_steps: 500"))
  assert fine_tuned_run.open_run(str(tmp_path / "run")).metric == "accuracy"


def test_runs_that_are_not_whole_are_refused(tool, runs, tmp_path, capsys):
  broken = tmp_path / "run"
  shutil.copytree(runs / "dense", broken)
  target = f"--output={tmp_path / 'x.json'}", "--flops_speedup=2"
  for data in (broken / "checkpoints").glob("ckpt-*/ckpt.data*"):
    data.write_bytes(data.read_bytes()[:-1])
  assert tool.main([f"--model_dir={broken}", *target]) == 2
  assert "is damaged" in capsys.readouterr().err
  shutil.rmtree(broken / "checkpoints")
  assert tool.main([f"--model_dir={broken}", *target]) == 2
  assert "no checkpoint there" in capsys.readouterr().err
  for folder in ("checkpoints", "data"):
    shutil.rmtree(broken / folder, ignore_errors=True)
    shutil.copytree(runs / "dense" / folder, broken / folder)
  (broken / "data" / "source.json").unlink()
  assert tool.main([f"--model_dir={broken}", *target]) == 2
  assert "bring it back, or fine-tune again" in capsys.readouterr().err


@pytest.fixture(scope="module")
def converted(runs):
  """The dense run as a folder of another project would come."""
  say, path = (lambda line: None), runs / "converted"
  conversion.convert(str(runs / "dense"), str(runs / "hf"), "huggingface",
                     False, True, say)
  conversion.convert(str(runs / "hf"), str(path), "run", False, True, say,
                     run_writer.RunRows(14))
  return path


def test_a_converted_run_is_searched_with_rows_of_a_file_and_exported(
    tool, runs, converted, tmp_path, capsys):
  output, rows = tmp_path / "schedule.json", runs / "train.tsv"
  assert _search(tool, runs, output, run="converted") == 2
  assert "give labelled ones with --file" in capsys.readouterr().err
  assert _search(tool, runs, output, f"--file={rows}", "--evaluations=4",
                 "--rounds=1", run="converted") == 0
  said = capsys.readouterr().out
  assert f"on 20 rows of {rows}" in said and "on 24 others of them" in said
  found = schedule_file.read(str(output))
  assert found.seq_length == 14
  # What is printed to run next is for these rows and can be run.
  train, export = (shlex.split(line)[2:] for line in said.splitlines()
                   if line.startswith("  python "))
  assert f"--train_data={rows}" in train
  assert train_lib.main(["train.py", *train, "--dry_run",
                         f"--model_dir={tmp_path / 'run'}"]) == 0
  export = [f"--output={tmp_path / 'out'}" if word.startswith("--output=")
            else word for word in export if word != "--verify"]
  capsys.readouterr()
  assert tiny_runs.run_absl_tool(
      "export_savedmodel", *export, "--buckets=14") == 0
  said = capsys.readouterr().out
  assert f"with {output}, which it was not trained for" in said
  facts = json.loads((tmp_path / "out" / "1" / "manifest.json").read_text())
  assert facts["token_schedules"] == dict(own=list(found.token_schedule))
  assert facts["source"]["untrained_schedule"] == str(output)


def test_half_of_a_files_rows_are_searched_with_and_labels_keep_their_places(
    runs, converted, tmp_path):
  rows = tiny.classes(tmp_path, rows=40, seed=3)
  found = fine_tuned_run.open_run(str(converted), rows_file=rows)
  assert found.data.train.num_rows == found.data.eval.num_rows == 20
  names = found.run.labels.names
  for part, batches in (("train", found.data.train), ("eval", found.data.eval)):
    assert [names[i] for i in batches.targets] == [
        row.label for row in getattr(found.data.source, part)]
  # Rows that a run was trained on are left for others, too.
  assert fine_tuned_run.open_run(
      str(runs / "dense"), rows_file=rows).data.train.num_rows == 20


@pytest.mark.parametrize("text, said", [
    (None, "no such file"),
    ("text\tlabel\n" + "a\tGOOD\nb\tBAD\nc\tMILD\nd\tMILD\n",
     "label 'MILD'.* knows BAD, GOOD, ODD: mend the row"),
    ("words\tlabel\na\tGOOD\n", "text")])
def test_rows_of_another_task_are_refused(converted, tmp_path, text, said):
  path = tmp_path / "rows.tsv"
  if text is not None:
    path.write_text(text)
  with pytest.raises(UserError, match=said):
    fine_tuned_run.open_run(str(converted), rows_file=str(path))
