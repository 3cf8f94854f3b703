#!/bin/bash
# Training on one TPU VM, set up, started and started again from here.
# Not run by us: we have no TPU. Every preset's step compiles with static shapes
# by XLA in the tests.
#
#   TPU=bert ZONE=us-central2-b BUCKET=gs://mine ./tpu_vm.sh
#
# The VM is made when it is not there, and made anew after a preemption; the
# run is in the bucket and goes on from its last checkpoint. A slice of several
# hosts is not supported: TensorFlow drives those from one host by
# runtime.tpu, which nobody has tried here.
set -u
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}" "${BUCKET:?gs://bucket}"
TYPE=${TYPE:-v4-8}
# Software that brings the TensorFlow of setup.py.
VERSION=${VERSION:-tpu-vm-tf-2.20.0-pjrt}
REPOSITORY=${REPOSITORY:?address that pip installs this project from}

vm() { gcloud compute tpus tpu-vm "$@" --zone="$ZONE"; }
remote() { vm ssh "$TPU" --command="$1"; }

for attempt in $(seq 1 50); do
  state=$(vm describe "$TPU" --format='value(state)' 2>/dev/null)
  if [ "$state" = PREEMPTED ] || [ "$state" = TERMINATED ]; then
    vm delete "$TPU" --quiet
    state=
  fi
  if [ -z "$state" ]; then
    vm create "$TPU" --accelerator-type="$TYPE" --version="$VERSION" \
      --preemptible || { sleep 300; continue; }
    remote "git clone $REPOSITORY official_style &&
      python3.11 -m venv .venv && .venv/bin/pip install -e ./official_style" ||
      exit 1
  fi
  remote "cd official_style && ../.venv/bin/python train.py \
    --accelerator=tpu --tpu=local \
    --experiment=token_drop_bert_base_128 \
    --train_data='$BUCKET/shards/train-*' \
    --eval_data='$BUCKET/shards/eval-*' \
    --vocab_file='$BUCKET/shards/vocab.txt' \
    --model_dir='$BUCKET/runs/bert'"
  code=$?
  echo "attempt $attempt ended with exit code $code" >&2
  case $code in
    0 | 2) exit $code ;;
  esac
  sleep 60
done
exit 1
