#!/usr/bin/env bash
# Makes results/, but for padding.json and profiles of an older commit: about 40
# minutes on 2 cores that do nothing else.
# Needs pip install -e '.[bench]'. With arguments, only the parts named.
set -euo pipefail
cd "$(dirname "$0")/../.."
results=experiments/speed/results
parts=${*:-forward train dropping xla documents ceiling profile}

measure() {
  python tools/benchmark.py --quiet_wait=20 --output="$results/$1.json" "${@:2}"
}

for part in $parts; do
  case $part in
    forward)
      measure forward --modes=forward --seq_length=128,512 --num_layers=12 \
        --contenders=ours,bert_encoder_v2,bert_encoder_v2_onednn,hf_bert ;;
    train)
      measure train --seq_length=128,512 --num_layers=6 \
        --contenders=ours,ours_token_drop,bert_encoder_v2,bert_encoder_v2_onednn,hf_bert ;;
    dropping)
      # As many positions a step as a real run has.
      measure dropping --seq_length=512 --batch_size=8 --num_layers=6 \
        --rounds=7 --contenders=ours,ours_token_drop,bert_encoder_v2 ;;
    xla)
      measure xla --modes=forward,train --num_layers=4 \
        --execution=graph,xla --contenders=ours,bert_encoder_v2 ;;
    documents)
      measure documents --workload=documents --seq_length=512 --num_layers=6 \
        --contenders=bert_encoder_v2,ours,ours_token_drop ;;
    ceiling)
      # Rows enough that the optimizer is a small part of a step.
      measure ceiling --batch_size=32 --num_layers=4 \
        --contenders=ours,bert_encoder_v2,hf_bert ;;
    profile)
      python tools/profile_step.py --mode=forward --num_layers=6 \
        --contenders=ours,bert_encoder_v2 \
        --output="$results/profile_forward_128.json"
      for n in 128 512; do
        python tools/profile_step.py --seq_length=$n \
          --batch_size=$((1024 / n)) --num_layers=6 \
          --contenders=ours,bert_encoder_v2 \
          --output="$results/profile_$n.json"
      done ;;
    *) echo "$part: choose of forward train dropping xla documents ceiling profile" >&2
       exit 2 ;;
  esac
done
