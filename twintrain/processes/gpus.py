"""Whether a process that was promised GPUs sees them. TensorFlow falls back to the CPU without an
error.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

from twintrain.errors import TwintrainError

LIBRARIES = ("libcuda.so.1", "libcudart.so.12", "libcudnn.so.9")
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")


def require_gpus(count: int) -> None:
    """See that TensorFlow has at least `count` GPUs, in a process that owns them.

    Raises:
        TwintrainError: it has fewer; lists what was looked for: driver, devices, libraries, visible
            devices.
    """
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if len(found) < count:
        built = "with" if tf.test.is_built_with_cuda() else "without"
        lines = [f"TensorFlow {tf.__version__}, built {built} CUDA", *traces()]
        raise TwintrainError(
            f"{count} GPU{'s' * (count != 1)} promised, {len(found)} found. TensorFlow would train "
            "on the CPU without a word. Looked for:\n" + "\n".join(f"  {line}" for line in lines),
            "Check the step's `gpu` in cluster.yaml, the node's NVIDIA driver and device plugin, "
            "and that the image was built with CUDA (twintrain kubeflow build --cuda).",
        )


def traces(root: Path = Path("/")) -> list[str]:
    """What there is of NVIDIA on this machine: driver, devices, libraries, environment; one line
    each.
    """
    version = root / "proc/driver/nvidia/version"
    driver = (
        version.read_text(encoding="utf-8").splitlines()[0]
        if version.is_file()
        else f"none ({version} is missing)"
    )
    devices = sorted(path.name for path in (root / "dev").glob("nvidia*"))
    lines = [f"driver: {driver}", f"devices: {', '.join(devices) or 'none (no /dev/nvidia*)'}"]
    lines += [f"{library}: {_outcome(library)}" for library in LIBRARIES]
    lines += [f"{name}: {os.environ.get(name, 'not set')}" for name in VARIABLES]
    return lines


def _outcome(library: str) -> str:
    """Whether a library loads, from where the system looks or from NVIDIA's wheels, where
    TensorFlow looks too.
    """
    wheels = importlib.util.find_spec("nvidia")
    folders = wheels.submodule_search_locations or () if wheels else ()
    failure = ""
    for place in (
        library,
        *(path for folder in folders for path in Path(folder).glob(f"*/lib/{library}")),
    ):
        try:
            ctypes.CDLL(str(place))
        except OSError as error:
            failure = failure or str(error)
        else:
            return "loads" if place == library else f"loads, from {place}"
    return failure
