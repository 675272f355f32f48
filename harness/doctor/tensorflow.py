"""TensorFlow looked at from another process: one that is broken, or needs another processor, ends that one only."""

import json
import re
import subprocess
import sys
from typing import Any

from harness.doctor.check import Check

SECONDS = 120.0
INSTALL = "pip install 'tta-harness[cpu]', or 'tta-harness[gpu]' for NVIDIA cards; listing and planning do without"
PROBE = """
import json, os
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras
import tensorflow as tf
tf.constant(0)
print("\\n" + json.dumps({
    "tensorflow": tf.__version__,
    "keras": keras.__version__,
    "backend": keras.config.backend(),
    "cuda": tf.test.is_built_with_cuda(),
    "gpus": [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")],
    "cores": os.cpu_count(),
}))
"""
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(?P<name>[^'.]+)")
_INSTRUCTIONS = re.compile(r"following instructions: (?P<names>[A-Z0-9_ ]+)")


def check_tensorflow(*, probe: str = PROBE, seconds: float = SECONDS) -> list[Check]:
    """Whether TensorFlow and Keras load, what TensorFlow was built for, and the devices it sees.

    Args:
        probe: the program that looks.
        seconds: it may take.
    """
    command = [sys.executable, "-c", probe]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return [Check("tensorflow", "warning", f"did not load within {seconds:.0f} s", "look for a full or slow disk")]
    if done.returncode:
        return [_broken(done)]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return [_versions(found), _devices(found, done.stderr)]


def _broken(done: subprocess.CompletedProcess[str]) -> Check:
    missing = _MISSING.search(done.stderr)
    if missing:
        return Check("tensorflow", "problem", f"{missing['name']} is not installed", INSTALL)
    if done.returncode < 0:
        text = f"importing it ends the process (signal {-done.returncode})"
        return Check("tensorflow", "problem", text, "signal 4: the processor lacks AVX, which its builds need")
    said = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no reason given"]
    remedy = "install it anew: `tensorflow` and `tensorflow-cpu` side by side break each other when one is removed"
    return Check("tensorflow", "problem", f"cannot be imported: {said[0].strip()}", remedy)


def _versions(found: dict[str, Any]) -> Check:
    text = f"{found['tensorflow']} with keras {found['keras']}, built for {'CUDA' if found['cuda'] else 'CPU'}"
    if found["backend"] != "tensorflow":
        remedy = "unset KERAS_BACKEND, or set KERAS_BACKEND=tensorflow"
        return Check("tensorflow", "problem", f"{text}; Keras runs on {found['backend']}", remedy)
    return Check("tensorflow", "ok", text)


def _devices(found: dict[str, Any], said: str) -> Check:
    instructions = _INSTRUCTIONS.search(said)
    cpu = f"{found['cores']} cores"
    if instructions:
        cpu += f" with {instructions['names'].strip()}"
    cpu += f", oneDNN {'on' if 'oneDNN custom operations are on' in said else 'off'}"
    if found["gpus"]:
        return Check("devices", "ok", f"{', '.join(found['gpus'])}; {cpu}")
    if found["cuda"]:
        remedy = "check the driver with nvidia-smi; without a card, tta-harness[cpu] is smaller"
        return Check("devices", "warning", f"no GPU found, although TensorFlow is built for CUDA; {cpu}", remedy)
    return Check("devices", "ok", f"no GPU; {cpu}")
