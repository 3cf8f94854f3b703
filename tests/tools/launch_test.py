"""Templates for clusters: consistent, and right about when to try again."""

import json
import os
import pathlib
import subprocess

import pytest
import yaml

from official_style import command_line
from official_style.training import worker_environment

FOLDER = pathlib.Path(__file__).parents[2] / "tools" / "launch"
SERVICE, JOB = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
POD = JOB["spec"]["template"]["spec"]
CONTAINER, = POD["containers"]


def _fakes(folder, **programs):
  """Commands of a cluster, first in PATH."""
  folder.mkdir()
  for name, text in programs.items():
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)
  return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def _codes(folder, codes):
  """Shell lines that end with one code after another."""
  (folder / "codes").write_text("\n".join(map(str, codes)) + "\n")
  return (f"code=$(head -n 1 {folder}/codes); sed -i 1d {folder}/codes; "
          f"echo \"$@\" >> {folder}/calls; exit $code")


@pytest.mark.parametrize("version", ["1.31", "1.33"])
@pytest.mark.parametrize("o", [SERVICE, JOB], ids=lambda o: o["kind"])
def test_kubernetes_objects_fit_the_schema(o, version):
  schemas = pytest.importorskip("kubernetes_validate")
  schemas.validate(o, version, strict=True)


def test_the_workers_of_the_indexed_job_find_each_other():
  name = JOB["metadata"]["name"]
  count = JOB["spec"]["completions"]
  assert JOB["spec"]["completionMode"] == "Indexed"
  assert JOB["spec"]["parallelism"] == count
  environment = {e["name"]: e["value"] for e in CONTAINER["env"]}
  config = json.loads(worker_environment.tf_config(
      environment | {"JOB_COMPLETION_INDEX": "1"}))
  port = CONTAINER["ports"][0]["containerPort"]
  # Pods of an indexed job are called <job>-<index>.<subdomain>.
  assert config["cluster"]["worker"] == [
      f"{name}-{i}.{POD['subdomain']}:{port}" for i in range(count)]
  assert SERVICE["metadata"]["name"] == POD["subdomain"]
  assert SERVICE["spec"]["clusterIP"] == "None"
  assert SERVICE["spec"]["publishNotReadyAddresses"] is True
  assert SERVICE["spec"]["selector"] == {"job-name": name}
  assert SERVICE["spec"]["ports"][0]["port"] == port


def test_the_job_tries_again_what_may_succeed():
  rules = JOB["spec"]["podFailurePolicy"]["rules"]
  actions = {code: rule["action"] for rule in rules if "onExitCodes" in rule
             for code in rule["onExitCodes"]["values"]}
  assert actions == {2: "FailJob", 75: "Ignore"}
  assert POD["restartPolicy"] == "Never"  # The policy needs it.
  assert {rule["onExitCodes"]["containerName"] for rule in rules
          if "onExitCodes" in rule} == {CONTAINER["name"]}
  assert {m["name"] for m in CONTAINER["volumeMounts"]} == {
      v["name"] for v in POD["volumes"]}


def test_the_job_runs_a_command_that_exists():
  assert CONTAINER["command"][:2] == ["python", "train.py"]
  options = command_line.parse(CONTAINER["command"][1:])
  assert options.experiment == "token_drop_bert_base_128"


@pytest.mark.parametrize("codes,ends,calls", [
    ([0], 0, 1), ([75, 137, 0], 0, 3), ([2], 2, 1)])
def test_slurm_starts_the_step_again(tmp_path, codes, ends, calls):
  environment = _fakes(
      tmp_path / "bin", srun=_codes(tmp_path, codes), sleep="exit 0",
      scontrol="echo JobId=7 EndTime=$(date -d '+5 hours' +%FT%T) Deadline=N/A")
  activate = tmp_path / ".venv" / "bin" / "activate"
  activate.parent.mkdir(parents=True)
  activate.touch()
  done = subprocess.run(
      ["bash", FOLDER / "slurm.sbatch"], cwd=tmp_path, check=False,
      env=environment | {"SLURM_JOB_ID": "7"}, capture_output=True, text=True)
  assert done.returncode == ends, done.stderr
  said = (tmp_path / "calls").read_text().splitlines()
  assert len(said) == calls
  words = said[0].split()
  command = words[words.index("train.py"):]
  assert command_line.parse(command).experiment == "token_drop_bert_base_128"


def test_slurm_puts_a_job_whose_time_is_over_into_the_queue_again(tmp_path):
  environment = _fakes(
      tmp_path / "bin", srun=_codes(tmp_path, [75, 0]), sleep="exit 0",
      scontrol=f"echo $@ >> {tmp_path}/asked; "
               "echo EndTime=$(date -d '+4 minutes' +%FT%T)")
  activate = tmp_path / ".venv" / "bin" / "activate"
  activate.parent.mkdir(parents=True)
  activate.touch()
  subprocess.run(["bash", FOLDER / "slurm.sbatch"], cwd=tmp_path, check=True,
                 env=environment | {"SLURM_JOB_ID": "7"}, capture_output=True)
  assert "requeue 7" in (tmp_path / "asked").read_text()
  assert len((tmp_path / "calls").read_text().splitlines()) == 1


@pytest.mark.parametrize("states,codes,ends,verbs", [
    (["READY"], [0], 0, ["describe", "ssh"]),
    ([""], [0, 0], 0, ["describe", "create", "ssh", "ssh"]),
    (["READY", "PREEMPTED"], [255, 0, 0], 0,
     ["describe", "ssh", "describe", "delete", "create", "ssh", "ssh"]),
    (["READY"], [2], 2, ["describe", "ssh"])])
def test_a_preempted_tpu_is_made_anew(tmp_path, states, codes, ends, verbs):
  (tmp_path / "states").write_text("\n".join(states) + "\n")
  (tmp_path / "codes").write_text("\n".join(map(str, codes)) + "\n")
  gcloud = f"""
echo $4 >> {tmp_path}/verbs
echo "$@" >> {tmp_path}/asked
case $4 in
  describe) head -n 1 {tmp_path}/states; sed -i 1d {tmp_path}/states ;;
  ssh) code=$(head -n 1 {tmp_path}/codes); sed -i 1d {tmp_path}/codes
    exit $code ;;
esac"""
  done = subprocess.run(
      [FOLDER / "tpu_vm.sh"], capture_output=True, text=True, check=False,
      env=_fakes(tmp_path / "bin", gcloud=gcloud, sleep="exit 0") | {
          "TPU": "bert", "ZONE": "z", "BUCKET": "gs://b",
          "REPOSITORY": "address"})
  assert done.returncode == ends, done.stderr
  assert (tmp_path / "verbs").read_text().split() == verbs
  # Files are read and written below what is mounted.
  asked = (tmp_path / "asked").read_text()
  assert "gs://" not in asked and "gcsfuse --implicit-dirs" in asked
  assert "--model_dir='../bucket/runs/bert'" in asked
