"""Fine-tunes with Agora: what goes wrong decides what is learnt next.

    python tools/agora.py --experiment=bort/sentence_prediction \\
        --init_checkpoint=runs/bort --train_data=my.tsv \\
        --helper=runs/helper --masked_lm=runs/bert \\
        --learning_rates=1e-4,3e-5 --set_seeds=0,1 --budget=12

de Wynter, 2020 (https://arxiv.org/abs/2010.07990), as far as it is known:
fine-tunes with each hyperparameter set, takes the rows that the best one gets
wrong on a part of the training rows, makes new rows of these, has a helper (a
fine-tuned run) label them, adds them, drops sets, and begins again. The rows
that train.py would evaluate on are looked at once, at the end. All flags of
train.py that choose data, model and configuration go here too. The same command
goes on where it was stopped.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import machine  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import command_line  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.agora import agora_options  # noqa: E402
from official_style.agora import hyperparameter_sets  # noqa: E402
from official_style.errors import UserError  # noqa: E402

_LISTS = dict(set_seeds=("seed", int), learning_rates=("learning_rate", float),
              weight_decays=("weight_decay", float),
              warmup_shares=("warmup_share", float),
              batch_sizes=("batch_size", int))
# Of later rounds and their new rows.
_OF_WORDS = ("masked_lm", "mask_share", "top_k")
_OF_ROUNDS = ("helper", "pruner", "replay", "soft_labels", *_OF_WORDS,
              "generators", "points_per_row")


def parser() -> argparse.ArgumentParser:
  """Our flags; what it doesn't know goes to train.py's."""
  flags = tool_flags.ToolFlags(__doc__, allow_abbrev=False)
  default = agora_options.AgoraOptions((), 1)
  add = flags.add_argument
  add("--budget", type=int, required=True, help="fine-tunings, at most")
  # Without defaults: what was given and has no effect is a mistake.
  add("--helper", help="fine-tuned run that labels new rows")
  add("--agora_dev_share", type=float, default=default.agora_dev_share,
      help="of the training rows, held out to find errors")
  add("--pruner", help="lcs, which is the default, worst_half or worst_one")
  add("--replay", type=int,
      help="times each round is repeated, with new rows, before sets are\n"
           "dropped")
  add("--soft_labels", action="store_true", default=None,
      help="new rows are learnt with the helper's probabilities")
  add("--loop_seed", type=int, default=0, help="of what the loop draws")
  add("--first_round",
      help="folder of an Agora of the same rows and configuration, made with\n"
           "--keep_all: fine-tunings of its first round are not done again")
  add("--keep_all", action="store_true",
      help="keep the weights of all fine-tunings, not the best one's only")
  add = flags.add_argument_group("Hyperparameter sets").add_argument
  add("--sets", default="",
      help="JSON file: a list of objects of "
           f"{', '.join(hyperparameter_sets.FIELDS)},\nor one of lists, all "
           "combinations of which are tried; or paper")
  for name in _LISTS:
    add(f"--{name}", help="list, as 1,2; all combinations are tried")
  add("--draw_sets", type=int, help="so many of them, drawn at random")
  add = flags.add_argument_group("New rows").add_argument
  add("--masked_lm", help="pretraining run that replaces words")
  add("--generators",
      help="of masked_words, span_swap and span_deletion, which take turns;\n"
           "default all there are models for")
  add("--mask_share", type=float,
      help=f"of words; default {default.mask_share}")
  add("--top_k", type=int,
      help=f"words to choose from; default {default.top_k}")
  add("--points_per_row", type=int,
      help=f"new rows of each; default {default.points_per_row}")
  add = flags.add_argument_group("Ablations").add_argument
  add("--points",
      help="errors, which is the default; random, of as many rows drawn at\n"
           "random; none, which is one round")
  add("--random_search", action="store_true",
      help="spend the budget on sets drawn from the space that the others\n"
           "span, without new rows")
  return flags


def _list(text, name, kind):
  try:
    return [kind(part) for part in text.split(",")]
  except ValueError as error:
    raise UserError(f"--{name}={text}: numbers, as 1,2,3") from error


def _sets(args):
  lists = {field: _list(getattr(args, name), name, kind)
           for name, (field, kind) in _LISTS.items()
           if getattr(args, name) is not None}
  if args.sets and lists:
    raise UserError("--sets: names all sets: drop the lists, or --sets")
  sets = (hyperparameter_sets.read(args.sets) if args.sets
          else hyperparameter_sets.grid(lists, "sets"))
  if args.draw_sets is None:
    return sets
  if args.draw_sets < 1:
    raise UserError(f"--draw_sets={args.draw_sets}: must be at least 1")
  return hyperparameter_sets.drawn(sets, args.draw_sets, args.loop_seed)


def _check_effects(given):
  """Refuses what would be ignored."""
  def refuse(names, where):
    for name in names:
      if name in given:
        raise UserError(f"--{name}: has no effect {where}: leave it out")

  one_round = "which is one round without new rows"
  if given.get("random_search"):
    refuse(("points", "first_round", *_OF_ROUNDS),
           f"with --random_search, {one_round}")
  if given.get("points") == "none":
    refuse(_OF_ROUNDS, f"with --points=none, {one_round}")
  named = given.get("generators")
  if "masked_lm" not in given or named and "masked_words" not in named:
    refuse(_OF_WORDS, "without masked_words, which needs --masked_lm and is "
           "one of --generators")


def options_of(argv):
  """The `AgoraOptions`, and train.py's `Options`."""
  args, rest = parser().parse_known_args(argv)
  given = {name: getattr(args, name) for name in (
      "budget", "agora_dev_share", "first_round", "keep_all", "points",
      "random_search", *_OF_ROUNDS) if getattr(args, name) is not None}
  if "generators" in given:
    given["generators"] = tuple(filter(None, args.generators.split(",")))
  _check_effects(given)
  asked = agora_options.AgoraOptions(
      sets=_sets(args), seed=args.loop_seed,
      provenance=dict(
          **machine.provenance(_ROOT, ["tools/agora.py", *argv]),
          environment=tensorflow_environment.settings()), **given)
  asked.check()
  if not any(word.lstrip("-").startswith("model_dir") for word in rest):
    rest = [*rest, "--model_dir=runs/agora"]
  return asked, command_line.parse(["train.py", *rest])


def _work(argv) -> int:
  tensorflow_environment.prepare()
  asked, options = options_of(argv)
  from absl import logging
  logging.set_verbosity(logging.WARNING)
  import dataclasses

  from official_style import experiment_configs  # noqa: F401, registers
  from official_style.agora import agora_job
  from official_style.configs import resolve
  resolved = resolve.resolve(options)
  return agora_job.run(
      resolved.config,
      dataclasses.replace(options, gin_text=resolved.gin_text), asked)


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  return command_end.exit_code(lambda: _work(argv))


if __name__ == "__main__":
  sys.exit(main())
