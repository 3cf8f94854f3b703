"""Trains: `python train.py --experiment=token_drop_bert`; see `--help`."""

import sys

from official_style import train

if __name__ == "__main__":
  sys.exit(train.main())
