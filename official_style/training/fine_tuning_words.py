"""What a fine-tuning run says when it is done."""

import os

from official_style import command_words
from official_style.data import labelled_checks
from official_style.tasks import any_budget
from official_style.tasks import sentence_metrics
from official_style.training import progress
from official_style.training import threshold_schedule


def of(run, state, result, seconds) -> str:
  """What was reached, where everything lies, and what to run next."""
  trainer, folder = run.config.trainer, run.folder
  source, deciding = run.data.source, trainer.best_checkpoint_eval_metric
  ended = "" if state.step >= trainer.train_steps else (
      f", early: {state.evaluations_since_best} evaluations were no better")
  lines = ["", f"Done: {state.step} of {trainer.train_steps} steps{ended}, "
               f"{progress.duration(seconds)} in this process.", ""]
  at = "" if result.step == state.step else ", the best"
  lines.append(f"  On the {len(source.eval):,} evaluation rows, at step "
               f"{result.step}{at}:")
  budgets = run.config.task.model.encoder.get()
  budgets = getattr(budgets, "budgets", None) or ()
  of_budgets = {any_budget.at(name, budget) for name in result.metrics
                for budget in budgets}
  names = sorted(
      (name for name in result.metrics if name not in of_budgets),
      key=lambda name: (name != deciding, name == "loss"))
  width = 34 if budgets else 24
  for name in names:
    title = name.replace("_", " ")
    if name == "f1" and len(result.labels.names) == 2:
      title += f" of {result.labels.names[1]!r}"[:20]
    lines.append(f"  {title:<{width}} {result.metrics[name]:8.4f}")
  if source.baseline is not None:
    lines.append(f"  {'always the commonest':<{width}} {source.baseline:8.4f} "
                 "accuracy")
    if deciding not in sentence_metrics.OF_QUESTIONS and (
        result.metrics["accuracy"] <= source.baseline):
      other = ("at another\n  LEARNING_RATE" if run.config.task.init_checkpoint
               else "start\n  from a checkpoint")
      lines.append("  It has learned no more than which label is commonest: "
                   f"train longer, or {other}.")
  for name, value in result.test_metrics.items():
    if name not in of_budgets:
      lines.append(f"  test {name.replace('_', ' '):<19} {value:8.4f}")
  untested = labelled_checks.why_untested(source.test, result.labels)
  lines += [f"  {untested}"] * bool(untested)
  lines += _table(budgets, result.metrics)
  lines += ["", "Where things are:",
            f"  {folder.file('predictions.tsv')}  a line for each evaluation "
            "row"]
  if result.test_metrics or source.test:
    lines.append(f"  {folder.file('predictions_test.tsv')}  for each test row")
  if result.test_metrics:
    lines.append(f"  {folder.file('metrics.jsonl')}  all metrics by step; last "
                 "those of test rows")
  best = f"checkpoints/ckpt-{result.step}"
  lines += [f"  {folder.file(best)}  the weights, best by "
            f"{deciding.replace('_', ' ')}",
            f"  {folder.file('data/labels.json')}  the labels in order",
            f"  {folder.file('params.yaml')}  the configuration",
            *([f"  {folder.file(threshold_schedule.NAME)}  the tokens each "
               "layer needs"] if run.config.task.threshold_speedup else []),
            "", "What to run next:"]
  return "\n".join(lines + _next(run))


def _table(budgets, metrics) -> list[str]:
  """A line for each budget."""
  if not budgets:
    return []
  names = [name for name in metrics if any_budget.over(name) in metrics]
  lines = ["", "  The same weights at each budget (times fewer FLOPs):",
           "  budget" + "".join(
               f"{name.replace('_', ' '):>22}" for name in names)]
  for budget in budgets:
    lines.append(f"  {f'{budget:g}x':<6}" + "".join(
        f"{metrics[any_budget.at(name, budget)]:22.4f}" for name in names))
  return lines


def _next(run) -> list[str]:
  config, options = run.config, run.options
  if config.task.threshold_speedup:
    return threshold_schedule.next_command(run)
  encoder = config.task.model.encoder.get()
  folder = os.path.normpath(options.model_dir)
  export = command_words.line([
      f"--model_dir={folder}", f"--output=exports/{os.path.basename(folder)}"])
  lines = [f"  python tools/export_savedmodel.py {export} --verify",
           "                    for TensorFlow Serving and tools/score.py"]
  if hasattr(encoder, "token_schedule"):
    shown = command_words.line([f"--model_dir={folder}"])
    lines += [f"  python tools/show_tokens.py {shown}",
              "                    which words reach which layer"]
  name = options.experiment or "bert/sentence_prediction"
  command = f"  python train.py --experiment={name}"
  if not config.task.train_data.input_path:
    lines += [f"{command} --train_data=my.tsv --text_columns=text "
              "--label_column=label --model_dir=runs/mine"]
  else:
    words = command_words.line([
        *command_words.repeated(
            options.argv, ("model_dir", "seeds", "restart")),
        "--seeds=3", f"--model_dir={folder}-seeds"])
    lines += [f"  python train.py {words}"]
  if not config.task.init_checkpoint:
    lines += ["  python train.py --experiment=token_drop_bert",
              "                    weights to start from; a new run finds "
              "them by itself"]
  return lines
