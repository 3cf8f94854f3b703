"""Shows which words survive to which layer, and which word decides.

    python tools/show_tokens.py --model_dir=runs/pyramid_bert \\
        --text='Parse a JSON document and return its values.'

Without --text or --file it shows rows that the run was evaluated on. Of a plain
BERT, --speedup=3 shows what it does with fewer tokens off the shelf, without
training for that. Of a pretraining run with token dropping it shows one pass
with tokens dropped. Each word is left out in turn to see what hangs on it; that
is as many passes as there are words, and --noleave_one_out does without.
"""

import dataclasses
import os
import sys

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "folder of a run", required=True)
_STEP = flags.DEFINE_integer(
    "step", None, "whose weights; the best by default")
_TEXT = flags.DEFINE_string("text", None, "what to show")
_TEXT_PAIR = flags.DEFINE_string("text_pair", None, "the second of a pair")
_FILE = flags.DEFINE_string(
    "file", None, "a .txt with a text a line, or labelled rows in a .tsv, .csv "
    "or .jsonl with the run's columns")
_LIMIT = flags.DEFINE_integer("limit", 20, "rows to show at most")
_HTML = flags.DEFINE_string("html", None, "also write this one HTML file")
_SPEEDUP = flags.DEFINE_float(
    "speedup", None, "times fewer FLOPs, which nothing was trained for, by a "
    "core-set or the run's own selector")
_TOKEN_SCHEDULE_FILE = flags.DEFINE_string(
    "token_schedule_file", None, "list of tokens that tools/search_schedule.py "
    "found, instead of a speed-up")
_LEAVE_ONE_OUT = flags.DEFINE_boolean(
    "leave_one_out", True, "ask what each word decides")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "rows of a batch")



def report(show):
  """The `TokenReport` that the flags ask for."""
  from official_style.errors import UserError
  from official_style.reporting import shown_rows
  from official_style.reporting import token_report
  from official_style.training import finished_run
  from official_style.training import untrained_schedule

  if _BATCH_SIZE.value < 1:
    raise UserError(f"--batch_size={_BATCH_SIZE.value}: at least 1")
  if _TEXT.value is not None and not _TEXT.value.strip():
    raise UserError("--text is empty: give a text with words")
  if None not in (_SPEEDUP.value, _TOKEN_SCHEDULE_FILE.value):
    raise UserError("--speedup and --token_schedule_file: one of them at a "
                    "time")
  show("loading the run")
  run = finished_run.load(_MODEL_DIR.value, _STEP.value)
  if _SPEEDUP.value is not None:
    run = token_report.faster(run, _SPEEDUP.value)
  if _TOKEN_SCHEDULE_FILE.value is not None:
    run = untrained_schedule.with_schedule(run, _TOKEN_SCHEDULE_FILE.value)
  inputs, labels = shown_rows.read(
      run, _TEXT.value, _TEXT_PAIR.value, _FILE.value, _LIMIT.value)
  made = token_report.of(
      run, inputs, labels, _LEAVE_ONE_OUT.value, _BATCH_SIZE.value, show)
  if _SPEEDUP.value is None:
    return made
  return dataclasses.replace(made, title=(
      f"{made.title}; --speedup={_SPEEDUP.value:g}, which it was not trained "
      "for"))


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_show, resumes=False)


def _show():
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()  # Before the pages, which import it.
  from official_style import files
  from official_style.errors import UserError
  from official_style.reporting import terminal_view
  from official_style.reporting import token_page
  is_terminal = sys.stderr.isatty()

  def show(line):
    if is_terminal:
      print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

  made = report(show)
  show("")
  colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
  print(terminal_view.text_of(made, colour), end="")
  if _HTML.value:
    try:
      files.write(_HTML.value, token_page.text_of(made))
    except OSError as error:
      raise UserError(f"--html={_HTML.value}: can't be written "
                      f"({error.strerror}): choose another") from error
    print(f"\n{_HTML.value}: the same as a page for a browser")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
