"""Train, shrink and serve BERT-style encoders in TensorFlow.

Imports nothing: `python train.py --help` answers before TensorFlow could load.
"""

__version__ = "0.1.0"
