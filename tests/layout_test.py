"""The shape of the repository: what imports what, and how long files are."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "official_style"
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = SOURCES + sorted((ROOT / "tests").rglob("*.py")) + sorted(
    (ROOT / "tools").rglob("*.py")) + [ROOT / "train.py", ROOT / "setup.py"]

# Each module may import from its own level and from lower ones. `data` and
# `tasks` share a level but stand apart.
LEVELS = {
    "official_style": 0,
    "official_style.command_end": 0,
    "official_style.errors": 0,
    "official_style.command_words": 0,
    "official_style.files": 0,
    "official_style.vocabulary_files": 0,
    "official_style.yaml_files": 0,
    "official_style.tensorflow_environment": 0,
    "official_style.tool_flags": 0,
    "official_style.modeling.ops": 1,
    "official_style.modeling.token_schedule": 1,
    "official_style.modeling.cost_model": 1,
    "official_style.modeling.retention_schedule": 1,
    "official_style.modeling.layers": 2,
    "official_style.modeling.networks": 3,
    # Readers and writers of arrays, which know no model; what needs text or
    # configurations stands higher.
    "official_style.checkpoints": 3,
    "official_style.checkpoints.conversion": 7,
    "official_style.checkpoints.conversion_checks": 7,
    "official_style.checkpoints.run_writer": 7,
    "official_style.configs": 4,
    "official_style.data": 5,
    "official_style.tasks": 5,
    "official_style.training": 6,
    "official_style.command_line": 6,
    "official_style.experiment_configs": 7,
    "official_style.train": 8,
}
# They may import what they need of the above; nothing above imports them.
BESIDES = ("agora", "search", "serving", "reporting")

# Answered without TensorFlow: help, --list, mistyped flags and keys.
NO_TENSORFLOW = [
    "official_style.errors", "official_style.command_line",
    "official_style.files",
    "official_style.agora.agora_folder", "official_style.agora.agora_loop",
    "official_style.agora.agora_options",
    "official_style.agora.span_changes",
    "official_style.serving.client.serving_client",
    "official_style.serving.client.rest_transport",
    "official_style.tensorflow_environment",
    "official_style.train", "official_style.configs.gin_files",
    "official_style.configs.gin_program",
    "official_style.configs.overrides", "official_style.configs.suggestions",
    "official_style.modeling.token_schedule",
    "official_style.modeling.cost_model",
    "official_style.modeling.retention_schedule"]


def _name(path):
  parts = path.relative_to(ROOT).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _level(module):
  while module not in LEVELS:
    module, _, last = module.rpartition(".")
    assert last, "not in the package"
    if module == "official_style":
      raise KeyError(last)
  return LEVELS[module]


def _imports(path, top_only=False):
  """Dotted names of the modules a file imports, functions' own included."""
  tree = ast.parse(path.read_text(encoding="utf-8"))
  names = []
  for node in tree.body if top_only else ast.walk(tree):
    if isinstance(node, ast.Import):
      names += [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: a relative import"
      names += [f"{node.module}.{alias.name}" for alias in node.names]
  return names


def _ours(path):
  return [name for name in _imports(path)
          if name.split(".")[0] == "official_style"]


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_run_one_way(path):
  module = _name(path)
  if module.split(".")[1:2] and module.split(".")[1] in BESIDES:
    return
  for imported in _ours(path):
    assert imported.split(".")[1] not in BESIDES, f"{module} <- {imported}"
    assert _level(imported) <= _level(module), f"{module} imports {imported}"


def test_data_and_tasks_know_nothing_of_each_other():
  for path in SOURCES:
    for one, other in (("data", "tasks"), ("tasks", "data")):
      if _name(path).startswith(f"official_style.{one}"):
        for imported in _ours(path):
          assert not imported.startswith(f"official_style.{other}"), path


@pytest.mark.parametrize("module", NO_TENSORFLOW)
def test_modules_behind_help_load_no_tensorflow(module):
  pending, seen = [module], set()
  while pending:
    name = pending.pop()
    path = ROOT / (name.replace(".", "/") + ".py")
    if name in seen or not path.exists():
      continue
    seen.add(name)
    for imported in _imports(path, top_only=True):
      assert imported.split(".")[0] not in (
          "tensorflow", "tf_keras", "official", "tensorflow_text"), name
      pending += [imported, imported.rpartition(".")[0]]


def test_the_package_itself_imports_nothing():
  assert not _imports(PACKAGE / "__init__.py")


def test_only_tf_keras_is_imported():
  for path in EVERYTHING:
    for name in _imports(path):
      assert name.split(".")[0] != "keras", path
      assert not name.startswith("tensorflow.keras"), path
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
      if isinstance(node, ast.Attribute) and node.attr == "keras":
        assert getattr(node.value, "id", None) != "tf", (
            f"{path}:{node.lineno}: tf.keras is Keras 3")


def test_nothing_of_model_gardens_vision_is_imported():
  for path in EVERYTHING:
    for name in _imports(path):
      assert not name.startswith("official.vision"), path
      assert not name.startswith("official.common.registry_imports"), path


def test_nothing_is_named_for_what_it_does_not_say():
  for path in EVERYTHING:
    assert path.stem not in ("utils", "common", "helpers", "misc"), path


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_stay_short(path):
  assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_gin_is_gin_config_and_ours_is_no_package():
  import gin
  assert hasattr(gin, "configurable")
  assert not list((ROOT / "gin").rglob("*.py"))


def test_only_experiment_configs_is_configurable_by_gin():
  for path in SOURCES:
    text = path.read_text(encoding="utf-8")
    if "gin_evaluation.configurable" in text or "@gin.conf" in text:
      assert _name(path) == "official_style.experiment_configs", path
