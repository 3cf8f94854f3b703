"""The command that shows tokens, on a run of seconds."""

import os
import subprocess
import sys

import pytest

from official_style.configs import schedule_file
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("show")
  path = str(folder / "run")
  assert tiny.run(path, tiny.classes(folder), experiment="pyramid_bert",
                  EPOCHS=1.0, RETENTION_SPEEDUP=1.3) == 0
  return path


def _show(*arguments):
  """The exit code of the command; flags are those of the arguments only."""
  return tiny_runs.run_absl_tool("show_tokens", *arguments)


def test_a_text_is_shown_and_a_page_written(run, tmp_path, capsys):
  page = tmp_path / "tokens.html"
  assert _show(f"--model_dir={run}", "--text=good bad <b>ban</b>",
               f"--html={page}") == 0
  out = capsys.readouterr().out
  assert "predicts " in out and "deciding word" in out or "no word" in out
  text = page.read_text(encoding="utf-8")
  assert "&lt;" in text and "<b>" not in text


@pytest.mark.slow
def test_tensorflow_is_told_to_be_quiet_before_it_is_imported():
  environment = {name: value for name, value in os.environ.items()
                 if not name.startswith("TF_")}
  done = subprocess.run(
      [sys.executable, "tools/show_tokens.py", "--model_dir=none"],
      env=environment, capture_output=True, text=True, timeout=120)
  assert done.returncode == 2
  assert done.stderr.startswith("error: --model_dir=none: no such folder")
  assert done.stderr.count("\n") == 1


def test_without_a_text_it_shows_what_the_run_was_evaluated_on(run, capsys):
  assert _show(f"--model_dir={run}", "--limit=3",
               "--noleave_one_out") == 0
  out = capsys.readouterr().out
  assert out.count("; the label is ") == 3 and "deciding" not in out
  assert "3 sentences together" in out


def test_another_list_is_shown_and_said_to_be_one(run, tmp_path, capsys):
  file = tmp_path / "schedule.json"
  schedule_file.write(str(file), (7, 3), 16, "post_attention",
                      schedule_file.selection_by("coreset"), {})
  asked = (f"--model_dir={run}", f"--token_schedule_file={file}",
           "--text=good bad ban", "--noleave_one_out")
  assert _show(*asked) == 0
  out = capsys.readouterr().out
  # Long names are broken where the line ends.
  assert "".join(f"with {file}, which it was not trained for".split()) in (
      "".join(out.split()))
  assert "keeps 7 3 tokens by coreset" in out
  assert _show(*asked, "--speedup=2") == 2
  assert "one of them at a time" in capsys.readouterr().err


@pytest.mark.slow
def test_words_of_a_run_on_bytes_are_shown(tmp_path, capsys):
  path = str(tmp_path / "run")
  assert tiny.run(path, tiny.classes(tmp_path), experiment="pyramid_bert",
                  EPOCHS=1.0, RETENTION_SPEEDUP=1.3, TOKENIZER="bytes") == 0
  assert _show(f"--model_dir={path}", "--text=good caf\u00e9") == 0
  assert "caf\u00e9" in capsys.readouterr().out


@pytest.mark.parametrize("name, content, count", [
    ("texts.txt", "good ban\n\nbad kel\r\n", 2),
    ("rows.tsv", "text\tlabel\ngood ban\tGOOD\nbad\tBAD\nodd\tODD\n", 3),
    ("rows.jsonl", '{"text": "good", "label": "GOOD"}\n', 1)])
def test_files_are_read_as_training_reads_them(
    run, tmp_path, capsys, name, content, count):
  path = tmp_path / name
  path.write_text(content, encoding="utf-8")
  assert _show(f"--model_dir={run}", f"--file={path}",
               "--noleave_one_out") == 0
  out = capsys.readouterr().out
  assert out.count("predicts ") == count
  assert out.count("the label is") == (0 if name.endswith(".txt") else count)


@pytest.mark.parametrize("arguments, said", [
    (["--text="], "--text is empty"),
    (["--text=\u200b"], "the text is empty, or holds no character"),
    (["--text=a", "--file=b"], "--text and --file: one of them"),
    (["--text_pair=a"], "give the first text of the pair with --text"),
    (["--file=none.txt"], "--file=none.txt: no such file"),
    (["--file=" + __file__], "give texts in a .txt"),
    (["--limit=0"], "--limit=0: show at least 1"),
    (["--text=a", "--batch_size=0"], "--batch_size=0: at least 1"),
    (["--text=a", "--step=99999"], "no checkpoint of step 99999"),
    (["--text=a", "--html=/none/x.html"], "--html=/none/x.html: can't be")])
def test_mistakes_are_told_in_one_line(run, capsys, arguments, said):
  assert _show(f"--model_dir={run}", *arguments) == 2
  error = capsys.readouterr().err
  assert said in error and error.strip().count("\n") == 0


def test_other_evaluation_rows_than_the_runs_are_refused(run, capsys):
  path = os.path.join(os.path.dirname(run), "train.tsv")
  with open(path, encoding="utf-8") as f:
    before = f.read()
  try:
    with open(path, "a", encoding="utf-8") as f:
      for i in range(40):
        f.write(f"bad more {i}\tBAD\n")
    assert _show(f"--model_dir={run}") == 2
    assert "are others by now" in capsys.readouterr().err
  finally:
    with open(path, "w", encoding="utf-8") as f:
      f.write(before)
