"""Flags of one command in the next that is told."""

import shlex

from official_style import command_words

_GIVEN = ["train.py", "--experiment=bert", "--model_dir", "runs/a b",
          "-train_data=my file.tsv", "--restart", "--gin_params",
          "THRESHOLD_SPEEDUP = 2.0", "--gin_params=SEED = 1", "--mode=eval"]


def test_values_go_with_their_flags_however_they_are_written():
  assert command_words.flags_of(_GIVEN) == [
      ("experiment", "bert"), ("model_dir", "runs/a b"),
      ("train_data", "my file.tsv"), ("restart", None),
      ("gin_params", "THRESHOLD_SPEEDUP = 2.0"), ("gin_params", "SEED = 1"),
      ("mode", "eval")]


def test_what_is_left_out_is_left_out_whole_and_nothing_else():
  assert command_words.repeated(
      _GIVEN, ("model_dir", "restart", "mod"), ("THRESHOLD_SPEEDUP",)) == [
          "--experiment=bert", "--train_data=my file.tsv",
          "--gin_params=SEED = 1", "--mode=eval"]
  assert command_words.repeated((), ("mode",)) == []


def test_a_shell_reads_the_same_words_back():
  words = command_words.repeated(_GIVEN, ())
  line = command_words.line(words)
  assert shlex.split(line) == words
  assert "--gin_params='SEED = 1'" in line and " --restart " in line
  assert shlex.split(command_words.line(["--a=it's", "--b="])) == [
      "--a=it's", "--b="]
