"""Every command and link of every page is one that works."""

import pathlib
import re
import shlex

import pytest

from official_style import command_line
from official_style import experiment_configs  # noqa: F401, registers
from official_style.configs import checkpoint_sizes
from official_style.configs import resolve
from official_style.configs import schedule_file
from tests.reference import tiny_runs

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted(p for p in ROOT.rglob("*.md") if not any(
    part.startswith(".") or part in ("runs", "build")
    for part in p.relative_to(ROOT).parts))


def _commands(text):
  """Words of each `python FILE.py ...` in a shell block of a page."""
  for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
    for line in block.replace("\\\n", " ").splitlines():
      for command in line.split("&&"):
        words = shlex.split(command, comments=True)
        while words and "=" in words[0]:  # Environment variables.
          words.pop(0)
        if len(words) > 1 and words[0].endswith("python") and (
            words[1].endswith(".py")):
          yield words[1:]


def _help_examples():
  examples = command_line.help_text().partition("Examples:\n")[2]
  return f"```bash\n{examples.partition(chr(10) * 2)[0]}\n```"


COMMANDS = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}")
    for page in PAGES for words in _commands(page.read_text("utf-8"))]
COMMANDS += [pytest.param(words, id=f"help: {' '.join(words)}")
             for words in _commands(_help_examples())]


def test_pages_hold_commands():
  assert len(PAGES) >= 3 and len(COMMANDS) >= 5


def _write_teacher(folder):
  """What is looked at of a run before anything is built."""
  checkpoint = folder / "checkpoints" / "ckpt-1"
  checkpoint.mkdir(parents=True)
  (folder / "data").mkdir()
  (folder / "data" / "vocab.txt").write_text("", encoding="utf-8")
  config = resolve.resolve_experiment("bert").config
  (folder / "params.yaml").write_text(
      resolve.params_text(config), encoding="utf-8")
  for name in ("ckpt.index", "ckpt.data-00000-of-00001"):
    (checkpoint / name).write_bytes(b"")


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_accepted(words, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  # Weights that the reader has.
  monkeypatch.setattr(checkpoint_sizes, "check_exists", lambda *_: None)
  # What one command writes and the next one reads.
  schedule_file.write("schedule.json", (64, 32, 16, 8), 128, "post_attention",
                      schedule_file.selection_by("coreset"), {})
  for name in ("bert", "bort_teacher"):
    _write_teacher(tmp_path / "runs" / name)
  script = ROOT / words[0]
  assert script.exists()
  if words[0] == "train.py":
    if "--list" not in words:
      resolve.resolve(command_line.parse(words))
    return
  if words[0] in ("tools/agora.py", "tools/launch_local.py"):
    # What is not its own is train.py's.
    tool = tiny_runs.tool(script.stem)
    _, rest = tool.parser().parse_known_args(words[1:])
    command_line.parse(["train.py", *rest])
    return
  text = script.read_text("utf-8")
  if "\ndef parser()" in text:
    tiny_runs.tool(script.stem).parser().parse_args(words[1:])
    return
  # Of absl, and of argparse within a program's main function.
  defined = set(re.findall(
      r'(?:DEFINE_\w+\(\s*"|\badd(?:_argument)?\(\s*"--)(\w+)"', text))
  for word in words[1:]:
    if word.startswith("--"):
      assert word[2:].partition("=")[0] in defined, word


@pytest.mark.parametrize(
    "page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_links_between_pages_lead_somewhere(page):
  for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
    if "://" not in target:
      assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_pages_are_finished(page):
  assert "@@" not in page.read_text("utf-8")
