"""Times Bort's classifier against BERT-base's and BERT-large's, in turns.

    python tools/benchmark_bort.py --batch_sizes=1,32

Each is what fine-tuning's experiments build: the encoder and a head of two
labels on [CLS], which alone is worked on in the last layer. Bort has the
released sizes; pyramid Bort keeps fewer tokens from layer to layer, for
--speedups times fewer FLOPs. Beside each ratio to the first contender, the
median round by round, stands the computed one: that of matrix-multiply FLOPs.
Rows are full. Prints a table for each batch size and mode and writes
everything to --output.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import classifiers  # noqa: E402
from benchmarking import flag_types  # noqa: E402

from official_style import tool_flags  # noqa: E402
from official_style.modeling import retention_schedule  # noqa: E402

_EXPERIMENTS = {
    "BERT-large": ("bert/sentence_prediction", "gin/models/bert_large.gin"),
    "BERT-base": ("bert/sentence_prediction", "gin/models/bert_base.gin"),
    "Bort": ("bort/sentence_prediction", "gin/models/bort_4_8_1024_768.gin"),
}
_VOCAB_SIZE = 50265  # Of Bort; what is looked up costs the same in any table.


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--speedups", type=flag_types.list_of(float), default=(3.0,),
      help="of pyramid Bort, computed; its lists of tokens are made of them")
  add("--selection_place", choices=retention_schedule.PLACES,
      default=retention_schedule.POST_ATTENTION,
      help="where in a layer pyramid Bort selects")
  add("--depth", type=flag_types.whole(1),
      help="layers of it that reduce; all if not given")
  add("--num_layers", type=flag_types.whole(1),
      help="of each; those published if not given")
  classifiers.add_flags(flags, "benchmark_bort.json", batch_sizes=(1,))
  return flags


def contender(args, name: str, speedup=None):
  """A classifier as an experiment builds it, with random weights."""
  from official_style import command_line
  from official_style import experiment_configs  # noqa: F401, registers
  from official_style.configs import resolve
  experiment, sizes = _EXPERIMENTS[name]
  given = dict(SEQ_LENGTH=args.seq_length)
  if speedup is not None:
    experiment, name = "pyramid_bort", f"pyramid {name}, {speedup:g}x"
    given["RETENTION_SPEEDUP"] = speedup
    given["SELECTION_PLACE"] = args.selection_place
    given["pyramid_bert_encoder.retention_depth"] = args.depth
  if args.num_layers:
    given["NUM_LAYERS"] = args.num_layers
  task = resolve.resolve_unvalidated(command_line.parse([
      "train.py", f"--experiment={experiment}", f"--gin_file={sizes}",
      "--init_checkpoint=",
      *(f"--gin_params={k} = {v!r}" for k, v in given.items())])).config.task
  task.model.encoder.get().vocab_size = _VOCAB_SIZE
  return classifiers.Classifier(args, name, task)


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  args = classifiers.parse(parser(), argv)
  return classifiers.time_all(
      lambda: [contender(args, name) for name in _EXPERIMENTS] + [
          contender(args, "Bort", speedup) for speedup in args.speedups],
      "a head of two labels", args,
      ["tools/benchmark_bort.py", *argv])


if __name__ == "__main__":
  sys.exit(main())
