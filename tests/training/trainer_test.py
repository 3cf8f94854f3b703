"""The loop, with steps that cost nothing."""

import copy
import dataclasses
import math

import pytest

from official_style.configs import pretraining
from official_style.errors import UserError
from official_style.tasks.masked_lm_pretraining import MaskedLMPretrainingTask
from official_style.training import interruption as interruption_lib
from official_style.training import trainer as trainer_lib
from official_style.training.metrics_log import MetricsLog
from official_style.training.progress import Progress

NAN = float("nan")


class Checkpoints:
  """Keeps what a checkpoint would."""

  def __init__(self):
    self.saved = {}

  def save(self, step, state, best_step=None):
    self.saved[step] = copy.deepcopy(state)


class Loop:
  """A trainer around `loss(step)` and `eval_loss(step)`."""

  def __init__(self, folder, loss=lambda step: 10.0 / (step + 1),
               eval_loss=None, stages=None, state=None, on_eval=None,
               on_evaluation=None, **changes):
    self.config = pretraining.PretrainingTrainerConfig(
        train_steps=12, checkpoint_interval=4, validation_interval=4,
        log_interval=3, max_nonfinite_steps=3)
    for name, value in changes.items():
      setattr(self.config, name, value)
    self.loss, self.eval_loss = loss, eval_loss or (lambda step: 5.0 - step)
    self.keeps, self.asked, self.nonfinite = [], [], []
    self.evaluated, self.on_eval = [], on_eval or (lambda step: None)
    self.checkpoints = Checkpoints()
    self.interruption = interruption_lib.Interruption()
    self.state = state or trainer_lib.RunState()
    self.folder = str(folder)
    self.trainer = trainer_lib.Trainer(
        config=self.config, task=MaskedLMPretrainingTask,
        train_step=self._train, eval_step=self._evaluate,
        learning_rate=0.5, keep_stages=stages, seq_length=8,
        batches_from=self._batches,
        eval_batches=lambda: iter(range(2)), num_eval_batches=2,
        checkpoints=self.checkpoints,
        metrics_log=MetricsLog(self.folder, self.state.metrics_size),
        progress=Progress(12, quiet=True), interruption=self.interruption,
        on_nonfinite=self._stop, on_evaluation=on_evaluation)

  def run(self):
    try:
      return self.trainer.run(self.state)
    finally:
      self.trainer.close()

  def _batches(self, step):
    return iter(range(step, 1000))

  def _train(self, batch, keep):
    self.keeps.append(keep)
    self.asked.append(batch)
    loss = self.loss(batch)
    return dict(loss=4 * loss, correct=1.0, predictions=4.0, tokens=16.0,
                finite=math.isfinite(loss), gradient_norm=2.0)

  def _evaluate(self, batch):
    self.on_eval(self.state.step)
    if batch == 1:
      self.evaluated.append(self.state.step)
    return dict(loss=self.eval_loss(self.state.step), correct=0.0,
                predictions=1.0, tokens=8.0)

  def _stop(self, step, batch):
    self.nonfinite.append((step, batch))
    raise UserError("not finite")

  @property
  def lines(self):
    with open(f"{self.folder}/metrics.jsonl", "rb") as f:
      return f.read()


@pytest.fixture
def folders(tmp_path):
  for name in ("one", "two"):
    (tmp_path / name).mkdir()
  return tmp_path / "one", tmp_path / "two"


def test_it_takes_each_step_once_and_saves_when_due(folders):
  loop = Loop(folders[0])
  state = loop.run()
  assert state.step == 12 and loop.asked == list(range(12))
  assert sorted(loop.checkpoints.saved) == [4, 8, 12]
  assert loop.evaluated == [4, 8, 12]
  assert state.best_step == 12 and state.tokens == 12 * 16


def test_it_says_when_it_has_evaluated(folders):
  steps = []
  Loop(folders[0], on_evaluation=steps.append).run()
  assert steps == [4, 8, 12]


@pytest.mark.parametrize("step", [4, 8, 12])
def test_from_any_checkpoint_it_ends_the_same(folders, step):
  one = Loop(folders[0])
  end = one.run()
  state = trainer_lib.RunState(**one.checkpoints.saved[step])
  (folders[1] / "metrics.jsonl").write_bytes(one.lines)
  two = Loop(folders[1], state=state)
  assert dataclasses.asdict(two.run()) == dataclasses.asdict(end)
  assert two.lines == one.lines
  assert two.asked == list(range(step, 12))
  assert two.checkpoints.saved == {
      s: one.checkpoints.saved[s] for s in (8, 12) if s > step}


def _stop_at(loop, step):
  loop.interruption.requested = loop.interruption.requested or (
      loop.state.step >= step)


@pytest.mark.parametrize("when", ["training", "evaluating"])
@pytest.mark.parametrize("step", [4, 5, 7, 8, 11])
def test_told_to_stop_it_saves_and_goes_on_to_the_same_end(
    folders, when, step):
  one = Loop(folders[0])
  end = one.run()

  two = Loop(folders[1])
  if when == "evaluating":
    two.on_eval = lambda at: _stop_at(two, step)
  else:
    two.loss = lambda batch: _stop_at(two, step - 1) or 10.0 / (batch + 1)
  with pytest.raises(interruption_lib.Interrupted, match="saved at step"):
    two.run()
  stopped = max(two.checkpoints.saved)
  assert stopped == two.state.step
  state = trainer_lib.RunState(**two.checkpoints.saved[stopped])
  three = Loop(folders[1], state=state)
  assert dataclasses.asdict(three.run()) == dataclasses.asdict(end)
  assert three.lines == one.lines
  # The last checkpoint knows of its evaluation, whoever took it.
  assert (three.checkpoints.saved | {})[12] == one.checkpoints.saved[12]


def test_told_to_stop_before_the_first_step(folders):
  loop = Loop(folders[0])
  loop.interruption.requested = True
  with pytest.raises(interruption_lib.Interrupted) as stopped:
    loop.run()
  assert "saved" not in str(stopped.value) and not loop.checkpoints.saved


def test_a_finished_run_does_nothing(folders):
  one = Loop(folders[0])
  end = one.run()
  before = one.lines
  two = Loop(folders[0], state=copy.deepcopy(end))
  assert two.run() == end
  assert two.lines == before
  assert not (two.asked or two.evaluated or two.checkpoints.saved)


def test_a_step_that_is_not_finite_is_counted_and_left_out(folders):
  loop = Loop(folders[0], loss=lambda step: NAN if step == 1 else 2.0)
  loop.run()
  import json
  lines = [json.loads(line) for line in loop.lines.splitlines()]
  train = [line for line in lines if line["split"] == "train"]
  assert [line["skipped_steps"] for line in train] == [1, 0, 0, 0]
  assert train[0]["mlm_loss"] == 2.0
  assert train[0]["gradient_norm"] == 2.0


def test_so_many_in_a_row_end_the_run(folders):
  loop = Loop(folders[0], loss=lambda step: NAN if step >= 5 else 1.0)
  with pytest.raises(UserError):
    loop.run()
  assert loop.nonfinite == [(8, 7)]
  # The checkpoint of step 4 is the last: none of a bad step is written.
  assert sorted(loop.checkpoints.saved) == [4]


def test_good_steps_between_start_the_count_anew(folders):
  loop = Loop(folders[0], loss=lambda step: 1.0 if step % 3 == 2 else NAN)
  assert loop.run().step == 12
  assert not loop.nonfinite


def test_the_count_survives_a_resume(folders):
  one = Loop(folders[0], loss=lambda step: NAN if step >= 2 else 1.0,
             max_nonfinite_steps=4)
  with pytest.raises(UserError):
    one.run()
  state = trainer_lib.RunState(**one.checkpoints.saved[4])
  assert state.nonfinite_run == 2
  two = Loop(folders[0], loss=lambda step: NAN, max_nonfinite_steps=4,
             state=state)
  with pytest.raises(UserError):
    two.run()
  assert two.asked == [4, 5] and two.nonfinite == [(6, 5)]


def test_a_window_without_a_finite_step_has_no_loss(folders):
  loop = Loop(folders[0], loss=lambda step: NAN if step < 3 else 1.0,
              max_nonfinite_steps=5)
  loop.run()
  first = loop.lines.splitlines()[0]
  assert b"mlm_loss" not in first and b'"skipped_steps": 3' in first


@pytest.mark.parametrize("comparison, best", [("lower", 8), ("higher", 4)])
def test_the_best_is_by_the_metric_that_was_chosen(folders, comparison, best):
  losses = {4: 3.0, 8: 1.0, 12: 2.0}
  loop = Loop(folders[0], eval_loss=losses.get,
              best_checkpoint_metric_comp=comparison)
  assert loop.run().best_step == best


def test_patience_ends_training_and_survives_a_resume(folders):
  losses = {4: 2.0, 8: 1.0, 12: 3.0, 16: 4.0, 20: 0.0}

  def loop(folder, **changes):
    # Not a field of pretraining, which never stops early.
    made = Loop(folder, eval_loss=losses.get, train_steps=20, **changes)
    object.__setattr__(made.config, "early_stopping_patience", 2)
    return made

  one = loop(folders[0])
  end = one.run()
  assert (end.step, end.best_step, end.evaluations_since_best) == (16, 8, 2)
  assert sorted(one.checkpoints.saved) == [4, 8, 12, 16]
  again = loop(folders[0], state=copy.deepcopy(end))
  assert again.run() == end and not again.asked
  state = trainer_lib.RunState(**one.checkpoints.saved[12])
  (folders[1] / "metrics.jsonl").write_bytes(one.lines)
  assert loop(folders[1], state=state).run() == end


@pytest.mark.parametrize("comparison", ["lower", "higher"])
def test_an_evaluation_that_is_no_number_is_never_best(folders, comparison):
  losses = {4: NAN, 8: 1.0, 12: NAN}
  loop = Loop(folders[0], eval_loss=losses.get,
              best_checkpoint_metric_comp=comparison)
  assert loop.run().best_step == 8


def test_the_keep_count_follows_its_stages(folders):
  loop = Loop(folders[0], stages=((0, 8), (3, 2), (9, 4)))
  loop.run()
  assert loop.keeps == [8] * 3 + [2] * 6 + [4] * 3
  assert b'"kept_share": 0.25' in loop.lines


def test_best_is_saved_although_no_checkpoint_is_due(folders):
  loop = Loop(folders[0], validation_interval=3)
  loop.run()
  assert sorted(loop.checkpoints.saved) == [3, 4, 6, 8, 9, 12]
