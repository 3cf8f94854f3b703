"""The command line: flags, their help, and the options they make.

Imports no TensorFlow, so that help and mistyped flags are answered at once.
"""

import dataclasses
import os
import re
import textwrap
from typing import Callable, Optional, Sequence

from absl import flags

from official_style.configs import gin_files
from official_style.configs import suggestions
from official_style.errors import UserError

MODES = ("train", "eval", "train_and_eval")
ACCELERATORS = ("auto", "cpu", "gpu", "tpu")


@dataclasses.dataclass(frozen=True)
class Options:
  """What one command asks for.

  Attributes:
    experiment: name of an experiment, or empty when `gin_file` gives all.
    mode: one of `MODES`.
    model_dir: folder of the run.
    gin_file, gin_params, config_file, params_override: configuration, in
      increasing precedence.
    train_data, eval_data, vocab_file, init_checkpoint, teacher, accelerator,
      num_replicas, tpu, task_name, text_columns, label_column,
      choice_columns, label_type, test_data: shorthands that win over all of
      these; None is unset.
    seeds: repetitions with seeds of their own; 0 is one run.
    folds: repetitions that each hold out another part; 0 is one run.
    dry_run: check everything, say what it costs, write nothing.
    restart: start over although `model_dir` holds a run.
    allow_config_change: dotted keys that may differ from the resumed run's.
    allow_missing: regular expressions of the variables that `init_checkpoint`
      may lack.
    argv: the command as given.
    gin_text: the Gin configuration as one text, filled in once it is read.
  """
  experiment: str = ""
  mode: str = "train_and_eval"
  model_dir: str = ""
  gin_file: tuple[str, ...] = ()
  gin_params: tuple[str, ...] = ()
  config_file: tuple[str, ...] = ()
  params_override: tuple[str, ...] = ()
  train_data: Optional[str] = None
  eval_data: Optional[str] = None
  vocab_file: Optional[str] = None
  init_checkpoint: Optional[str] = None
  teacher: Optional[str] = None
  accelerator: Optional[str] = None
  num_replicas: Optional[int] = None
  tpu: Optional[str] = None
  task_name: Optional[str] = None
  text_columns: Optional[str] = None
  label_column: Optional[str] = None
  choice_columns: Optional[str] = None
  label_type: Optional[str] = None
  test_data: Optional[str] = None
  seeds: int = 0
  folds: int = 0
  dry_run: bool = False
  restart: bool = False
  allow_config_change: tuple[str, ...] = ()
  allow_missing: tuple[str, ...] = ()
  argv: tuple[str, ...] = ()
  gin_text: str = ""


@dataclasses.dataclass(frozen=True)
class _Flag:
  name: str
  kind: str  # string, multi, bool, int, or choices separated by `|`.
  help: str


_GROUPS = {
    "What to run": (
        _Flag("experiment", "string", "name of an experiment; see --list"),
        _Flag("mode", "|".join(MODES), "default train_and_eval"),
        _Flag("model_dir", "string",
              "folder of the run; default runs/<experiment>. The same command "
              "again goes on where it stopped"),
        _Flag("dry_run", "bool",
              "check configuration, data, vocabulary, shapes and checkpoint, "
              "print what the run costs, and write nothing"),
        _Flag("list", "bool", "one line for each experiment"),
    ),
    "Your data": (
        _Flag("train_data", "string",
              "text, JSONL or TFRecord files, globs or folders, separated by "
              "commas"),
        _Flag("eval_data", "string",
              "the same, for evaluation; default is a held-out share of the "
              "training documents"),
        _Flag("vocab_file", "string",
              "WordPiece vocabulary, a token a line, or the folder of a "
              "byte-level BPE's vocab.json and merges.txt; default is one "
              "trained on the training text"),
        _Flag("init_checkpoint", "string",
              "weights to start from: a run folder, a TensorFlow checkpoint, "
              "or a Hugging Face BERT folder"),
        _Flag("teacher", "string",
              "for experiments that distill: a run folder, a checkpoint in "
              "one, or a Hugging Face BERT folder; for fine-tuning: a "
              "fine-tuned run with the same labels"),
        _Flag("allow_missing", "multi",
              "regular expression of variables that --init_checkpoint may "
              "lack; repeatable"),
    ),
    "Your labels, for bert/sentence_prediction": (
        _Flag("task_name", "string",
              "task of GLUE, SuperGLUE or RACE; --train_data is its folder"),
        _Flag("text_columns", "string",
              "one or two columns of the TSV, CSV or JSONL files, separated "
              "by a comma; numbers from 0 where there is no header"),
        _Flag("label_column", "string", "name or number of a column"),
        _Flag("choice_columns", "string",
              "two or more columns, for multiple choice"),
        _Flag("label_type", "string", "class, or number for regression"),
        _Flag("test_data", "string",
              "file to predict at the end, with labels or without"),
        _Flag("seeds", "int",
              "repeat with so many seeds; reports mean and spread"),
        _Flag("folds", "int",
              "cross-validate with so many parts of the training rows"),
    ),
    "Configuration, each winning over the one before": (
        _Flag("gin_file", "multi",
              "Gin file, after or instead of --experiment; repeatable"),
        _Flag("gin_params", "multi",
              "Gin binding, as 'TRAIN_STEPS = 1000'; repeatable"),
        _Flag("config_file", "multi", "YAML file; repeatable"),
        _Flag("params_override", "multi",
              "key=value,key=value, or a YAML file; repeatable"),
    ),
    "Where to run": (
        _Flag("accelerator", "|".join(ACCELERATORS),
              "default auto; gpu and tpu fail where there is none"),
        _Flag("num_replicas", "int",
              "replicas on this machine; default every GPU, or one CPU"),
        _Flag("tpu", "string", "address of the TPU"),
    ),
    "Going on with a run": (
        _Flag("restart", "bool",
              "start over in a --model_dir that holds a run"),
        _Flag("allow_config_change", "multi",
              "dotted key that may differ from the run's; repeatable"),
    ),
}

_EXAMPLES = """\
Examples:
  python train.py --experiment=token_drop_bert
  python train.py --experiment=bert/sentence_prediction \\
      --train_data=my.tsv --text_columns=text --label_column=label
  python train.py --experiment=token_drop_bert_base_128 \\
      --train_data='corpus/*.txt' --vocab_file=vocab.txt \\
      --params_override=trainer.train_steps=20000,runtime.enable_xla=true

`--list` names every experiment. Each is a commented file in gin/experiments/.
"""


def _all_flags() -> list[_Flag]:
  return [flag for group in _GROUPS.values() for flag in group]


def help_text() -> str:
  """Our flags only, by purpose."""
  lines = ["Pretrain BERT with token dropping, or a dense BERT; fine-tune.", "",
           "Usage: python train.py --experiment=NAME [flags]"]
  for title, group in _GROUPS.items():
    lines += ["", f"{title}:"]
    for flag in group:
      name = f"--{flag.name}"
      if flag.kind == "int":
        name += "=N"
      elif flag.kind != "bool":
        name += "=" + (flag.kind if "|" in flag.kind else "...")
      wrapped = textwrap.wrap(flag.help, 52)
      if len(name) > 22:
        lines.append(f"  {name}")
      else:
        lines.append(f"  {name:<22}  {wrapped.pop(0)}")
      lines += [f"  {'':<22}  {text}" for text in wrapped]
  return "\n".join(lines) + "\n\n" + _EXAMPLES


def list_text() -> str:
  """Every experiment with its description, a line each."""
  names = gin_files.experiment_names()
  width = max(map(len, names))
  return "".join(f"{name:<{width}}  {gin_files.description(name)}\n"
                 for name in names)


def immediate_answer(argv: Sequence[str]) -> Optional[str]:
  """The text to print where the command asks for a text only."""
  words = {word.lstrip("-") for word in argv[1:] if word.startswith("-")}
  if words & {"help", "h", "helpfull", "helpshort"}:
    return help_text()
  return list_text() if _parse_flags(argv).list else None


def parse(argv: Sequence[str]) -> Options:
  """Reads the flags.

  Args:
    argv: the program's name and its arguments.

  Raises:
    UserError: on an unknown flag or experiment, a value of the wrong type, or
      an argument that is no flag.
  """
  values = _parse_flags(argv)
  if not values.experiment and not values.gin_file:
    raise UserError("which experiment? Give --experiment=NAME, as "
                    "--experiment=token_drop_bert; --list shows all")
  if values.experiment:
    gin_files.experiment_path(values.experiment)
  if values.num_replicas is not None and values.num_replicas < 1:
    raise UserError(f"--num_replicas={values.num_replicas}: at least 1")
  for name in ("seeds", "folds"):
    number = values[name].value
    if number is not None and number < 2:
      raise UserError(f"--{name}={number}: at least 2")
  for name in ("model_dir", "train_data", "eval_data", "vocab_file",
               "init_checkpoint", "teacher", "test_data"):
    if "://" in (values[name].value or ""):
      raise UserError(
          f"--{name}={values[name].value}: files are read as files: mount the "
          "bucket, as with gcsfuse, and give the path in it")
  _check_model_dir(values.model_dir or "")
  if values.restart and values.mode == "eval":
    raise UserError("--restart: would delete the run that --mode=eval is "
                    "about: leave one of them out")
  if values.seeds and values.folds:
    raise UserError("--seeds and --folds: one of them at a time")
  fields = {field.name for field in dataclasses.fields(Options)}
  given = {}
  for flag in _all_flags():
    value = values[flag.name].value
    if flag.name in fields and value is not None:
      given[flag.name] = tuple(value) if flag.kind == "multi" else value
  name = values.experiment or os.path.splitext(
      os.path.basename(values.gin_file[-1]))[0]
  given.setdefault("model_dir", os.path.join("runs", name.replace("/", "-")))
  return Options(argv=tuple(argv), **given)


def _check_model_dir(path: str):
  """TensorFlow writes checkpoints there, and could not read them again."""
  if re.search(r"\\|\[.*\]", path, re.DOTALL) or any(
      "\ud800" <= letter <= "\udfff" for letter in path):
    raise UserError(
        f"--model_dir={ascii(path)[1:-1]}: TensorFlow reads no checkpoint from "
        "a path with a backslash, with [...], or that is not UTF-8: choose "
        "another")


def _parse_flags(argv: Sequence[str]) -> flags.FlagValues:
  # Values of our own: the libraries we import define flags globally too.
  values = flags.FlagValues()
  for flag in _all_flags():
    _define(flag, values)
  try:
    rest = values(list(argv))
  except flags.UnrecognizedFlagError as error:
    known = [flag.name for flag in _all_flags()]
    guess = suggestions.did_you_mean(error.flagname, known, prefix="--")
    raise UserError(f"--{error.flagname}: no such flag{guess}; --help shows "
                    "all") from error
  except flags.Error as error:
    raise UserError(str(error)) from error
  if len(rest) > 1:
    raise UserError(f"{rest[1]!r} is no flag: flags are given as --name=value, "
                    "quoted where a shell would split them")
  return values


def _define(flag: _Flag, values: flags.FlagValues):
  if "|" in flag.kind:
    default = "train_and_eval" if flag.name == "mode" else None
    flags.DEFINE_enum(flag.name, default, flag.kind.split("|"), flag.help,
                      flag_values=values)
    return
  define: dict[str, Callable] = {
      "string": flags.DEFINE_string, "multi": flags.DEFINE_multi_string,
      "bool": flags.DEFINE_bool, "int": flags.DEFINE_integer}
  default = False if flag.kind == "bool" else None
  define[flag.kind](flag.name, default, flag.help, flag_values=values)
