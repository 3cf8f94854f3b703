"""What a run says when it is done."""

import math

from official_style import command_words
from official_style.training import progress


def of(config, options, folder, data, state, seconds) -> str:
  """What was reached, where everything lies, and what to run next."""
  task = config.task
  lines = ["", f"Done: {state.step} steps, {state.tokens:,.0f} tokens, "
               f"{progress.duration(seconds)} in this process."]
  if state.last_eval:
    loss, baseline = state.last_eval["mlm_loss"], data.unigram_loss
    lines += [
        "",
        f"  held-out MLM loss      {loss:8.4f} nats a token "
        f"(perplexity {math.exp(min(loss, 50)):,.1f})",
        f"  unigram baseline       {baseline:8.4f} nats: what word "
        "frequencies alone reach",
        f"  gain over the baseline {baseline - loss:8.4f} nats",
        f"  held-out MLM accuracy  {state.last_eval['mlm_accuracy']:8.2%}",
    ]
    if loss >= baseline:
      lines.append("  It has not learned more than word frequencies yet: "
                   "train longer.")
  lines += ["", "Where things are:"]
  last = f"checkpoints/ckpt-{state.step}"
  lines += [f"  {folder.file(last)}  the last checkpoint"]
  if state.best_step is not None and state.best_step != state.step:
    best = f"checkpoints/ckpt-{state.best_step}"
    lines += [f"  {folder.file(best)}  the best, by "
              f"{config.trainer.best_checkpoint_eval_metric}"]
  lines += [
      f"  {folder.file('data/vocab.txt')}  the vocabulary",
      f"  {folder.file('params.yaml')}  the configuration",
      f"  {folder.file('metrics.jsonl')}  loss and accuracy by step",
      "", "What to run next:",
      _command("tensorboard", f"--logdir={folder.path}/tensorboard"),
      _command("python train.py", "--experiment=bert/sentence_prediction",
               f"--init_checkpoint={folder.path}"),
      "                    fine-tune it, on rows of your own with "
      "--train_data"]
  if not task.train_data.input_path:
    same = command_words.repeated(
        options.argv, ("model_dir", "restart", "allow_config_change"))
    lines += [
        _command("python train.py", *same, "--train_data=your/*.txt",
                 "--model_dir=runs/mine"),
        "                    the same on your own text"]
    if hasattr(task.model.encoder.get(), "token_strategy"):
      lines += [_command("python train.py", "--experiment=bert"),
                "                    the dense model, to compare"]
  return "\n".join(lines)


def _command(*words) -> str:
  return f"  {command_words.line(words)}"
