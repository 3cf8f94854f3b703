"""Packaging; tools are configured in pyproject.toml."""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).parent
# Read, not imported: an import would need what is about to be installed.
_VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (_ROOT / "official_style" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE).group(1)

setuptools.setup(
    name="official-style",
    version=_VERSION,
    description="BERT pretraining with token dropping, in TensorFlow",
    python_requires=">=3.11",
    # gin/ goes into the package as data, under official_style/gin. It must
    # never become a package itself: it would hide gin-config's.
    packages=setuptools.find_packages(
        include=["official_style", "official_style.*"])
    + ["official_style.gin"],
    package_dir={"official_style.gin": "gin"},
    package_data={"official_style.gin": ["**/*.gin"]},
    install_requires=[
        "tensorflow==2.20.*",
        "tensorflow-text==2.20.*",
        "tf-models-official==2.20.*",
        "tf_keras==2.20.*",
        # TensorFlow brings Keras 3 along; newer ones are not tested with it.
        "keras>=3.10,<4",
        "absl-py>=1.4,<3",
        "gin-config==0.5.*",
        "google-crc32c>=1.5,<2",
        "numpy>=1.26,<3",
        "PyYAML>=6,<7",
        "safetensors>=0.4.3,<1",
        # tensorflow_hub, which tf-models-official imports, needs its
        # pkg_resources.
        "setuptools<81",
        # Older ones do not lower-case letters of Unicode 16.
        "tokenizers>=0.21,<1",
    ],
    extras_require={
        # Schemas of compose files and of Kubernetes; the last two are what
        # metrics are checked against.
        "test": ["check-jsonschema>=0.30,<1", "kubernetes-validate>=1.37,<2",
                 "pytest>=8,<10", "pytest-xdist>=3.6,<4", "ruff>=0.6,<1",
                 "scikit-learn>=1.3,<2", "scipy>=1.11,<2"],
        # Plots of results.
        "report": ["matplotlib>=3.8,<4"],
        # ONNX files beside an export. Before 1.17, tf2onnx wants a protobuf
        # that TensorFlow can't be installed with.
        "onnx": ["tf2onnx>=1.17,<2", "onnx>=1.18,<2",
                 "onnxruntime>=1.22,<2"],
        # Shares of words in an answer, by tools/explain.py --method=shap.
        "explain": ["shap>=0.50,<1"],
        # Building shards and scoring on a cluster.
        "beam": ["apache-beam>=2.60,<3"],
        # Scoring on a cluster; it needs a Java, 17 or 21. [sql]: pandas and
        # pyarrow, which carry rows to Python.
        "spark": ["pyspark[sql]>=4,<5"],
        # gRPC messages of TensorFlow Serving: the client by gRPC, and
        # tools/serve.py. REST needs none.
        "serving": ["tensorflow-serving-api==2.20.*"],
        # What tools/benchmark.py compares with, and plots of experiments/.
        "bench": ["matplotlib>=3.8,<4", "torch>=2.4,<3",
                  "transformers>=4.48,<6"],
    },
)
