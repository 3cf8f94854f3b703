#!/bin/bash
# Training on one TPU VM, set up, started and started again from here.
# Not run by us: we have no TPU. Every preset's step compiles with static shapes
# by XLA in the tests.
#
#   TPU=bert ZONE=us-central2-b BUCKET=mine \
#     REPOSITORY=https://example.org/official_style.git ./tpu_vm.sh
#
# The VM is made when it is not there, and made anew after a preemption; the
# run is in the bucket and goes on from its last checkpoint. Data and runs are
# read and written as files: the bucket is mounted on the VM by Cloud Storage
# FUSE, whose default keeps it from renaming folders, as checkpoints are. A
# slice of several hosts is not supported: TensorFlow drives those from one
# host by runtime.tpu, which nobody has tried here.
set -u
: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}" "${BUCKET:?its name}"
BUCKET=${BUCKET#gs://}
TYPE=${TYPE:-v4-8}
# Software that brings the TensorFlow of setup.py.
VERSION=${VERSION:-tpu-vm-tf-2.20.0-pjrt}
REPOSITORY=${REPOSITORY:?address that git clones this project from}
# https://cloud.google.com/storage/docs/cloud-storage-fuse/install
KEY=/usr/share/keyrings/cloud.google.asc
PACKAGES=https://packages.cloud.google.com/apt

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
    remote "curl -fsS $PACKAGES/doc/apt-key.gpg | sudo tee $KEY > /dev/null &&
      echo \"deb [signed-by=$KEY] $PACKAGES gcsfuse-\$(lsb_release -cs) main\" |
        sudo tee /etc/apt/sources.list.d/gcsfuse.list &&
      sudo apt-get update && sudo apt-get install -y gcsfuse &&
      git clone $REPOSITORY official_style &&
      python3.11 -m venv .venv && .venv/bin/pip install -e ./official_style" ||
      exit 1
  fi
  remote "mkdir -p bucket && { mountpoint -q bucket ||
    gcsfuse --implicit-dirs --rename-dir-limit=100000 $BUCKET bucket; } &&
    cd official_style && ../.venv/bin/python train.py \
    --accelerator=tpu --tpu=local \
    --experiment=token_drop_bert_base_128 \
    --train_data='../bucket/shards/train-*' \
    --eval_data='../bucket/shards/eval-*' \
    --vocab_file='../bucket/shards/vocab.txt' \
    --model_dir='../bucket/runs/bert'"
  code=$?
  echo "attempt $attempt ended with exit code $code" >&2
  case $code in
    0 | 2) exit $code ;;
  esac
  sleep 60
done
exit 1
