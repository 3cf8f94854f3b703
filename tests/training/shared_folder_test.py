"""Workers that do not see one folder are told so."""

import types

import pytest

from official_style.errors import TryAgain
from official_style.errors import UserError
from official_style.training import rendezvous
from official_style.training import run_folder
from official_style.training import shared_folder


@pytest.fixture
def beside_a_chief(monkeypatch):
  monkeypatch.setattr(rendezvous, "cluster", lambda: (["a:1", "b:2"], 1))
  monkeypatch.setattr(rendezvous, "answers", lambda address: True)


def test_a_folder_that_only_the_chief_has_is_told(tmp_path, beside_a_chief):
  folder = run_folder.RunFolder(str(tmp_path / "run"), is_chief=False)
  with pytest.raises(UserError, match="storage that all workers share"):
    shared_folder.wait_for_data(folder, 0)


def test_data_that_are_there_are_not_waited_for(tmp_path, beside_a_chief):
  (tmp_path / "data").mkdir()
  (tmp_path / "data" / "source.json").write_text("{}")
  shared_folder.wait_for_data(
      run_folder.RunFolder(str(tmp_path), is_chief=False), 0)


def test_a_step_that_not_all_have_is_told():
  placement = types.SimpleNamespace(all_have=lambda step: step == 8)
  folder = types.SimpleNamespace(path="runs/mine")
  shared_folder.check_step(folder, placement, 8)
  with pytest.raises(TryAgain, match="runs/mine: .* of step 4 here"):
    shared_folder.check_step(folder, placement, 4)
