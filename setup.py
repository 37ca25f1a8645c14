"""Packaging for Twintrain.

`pip install twintrain` gives the library, for any TensorFlow project. The TFX pipeline needs
`twintrain[pipeline]`; because some of TFX's wheels depend on the host's glibc, `make install`
installs one of the two locked sets under requirements/ instead.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
BUNDLED = sorted(str(at.relative_to(HERE)) for at in (HERE / "data").iterdir() if at.is_file())
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "twintrain/version.py").read_text()).group(1)

LIBRARY = [
    "tensorflow>=2.18,<2.22",
    "keras>=3.8,<4",
    "keras-tuner>=1.4.7,<2",
    # TensorFlow 2.21 no longer brings it, and keras-tuner imports it when a search starts.
    "tensorboard>=2.18",
    "numpy>=1.26",
    "scipy>=1.11",
    "statsmodels>=0.14",
    "pyDOE3>=1.3,<2",
    "pydantic>=2.7,<3",
    "pyyaml>=6",
    "jinja2>=3.1",
    "matplotlib>=3.8",
    "pillow>=10",  # images that are taken in
    "typer>=0.12",
    "rich>=13",
    "httpx>=0.27",
    "tenacity>=8",
    "fsspec>=2024.6",
    "grpcio>=1.60",  # keras-tuner: several workers
]
PIPELINE = [
    "tfx==1.21.0",
    "kfp>=2.14,<2.17",
    "kfp-kubernetes>=2.14,<2.17",
    "kubernetes>=18",  # how quantities are read; kfp says which
    "docker>=7",  # containers of a rehearsal
    "s3fs>=2024.6",  # records of comparisons on s3:// and minio://
]
DEV = [
    "pytest>=8,<9",
    "pytest-xdist>=3.6,<4",
    "hypothesis>=6.100",
    "ruff>=0.8",
    "mypy>=1.13",
    "import-linter>=2.10",
    "types-PyYAML",
    "jsonschema>=4.20",
    "psutil>=5.9",  # benchmarks
    "nbclient>=0.10",
    "ipykernel>=6.29",
    "kubernetes-validate>=1.31",
]

setup(
    name="twintrain",
    version=VERSION,
    description="Train one model twice, Keras fit and GradientTape, and settle whether, how much "
    "and why they differ.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["twintrain*", "components*", "pipelines*"]),
    package_data={
        "twintrain": [
            "diagnosis/pitfalls/*.yaml",
            "recipe/builtin/*.yaml",
            "recipe/parity.yaml",
            "report/*.html",
            "report/*.css",
            "report/*.md",
            "trend/*.html",
            "data/importing/*.pbtxt",
            "py.typed",
        ]
    },
    # The bundled MNIST, so that an installed Twintrain has something to compare on.
    data_files=[("share/twintrain/data", BUNDLED)],
    install_requires=LIBRARY,
    extras_require={
        "pipeline": PIPELINE,
        "gpu": ["tensorflow[and-cuda]>=2.18,<2.22"],
        "dev": DEV,
    },
    entry_points={"console_scripts": ["twintrain=pipelines.cli.__main__:main"]},
)
