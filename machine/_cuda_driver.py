"""GPUs as CUDA's driver library names them: a program, which prints them as `nvidia-smi` does.

Containers may have a GPU without `nvidia-smi`, which comes with NVIDIA_DRIVER_CAPABILITIES=utility only. It
runs as a process of its own: a process that has initialized CUDA can no longer be forked by one that uses it.
"""

import ctypes
import re
from pathlib import Path

_VERSION_FILE = Path("/proc/driver/nvidia/version")
_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


def main() -> None:
    """Print name, compute capability and driver's version of each GPU."""
    number = ctypes.c_int()
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise SystemExit("there is no libcuda.so.1") from None
    _call(cuda, "cuInit", 0)
    _call(cuda, "cuDeviceGetCount", ctypes.byref(number))
    for ordinal in range(number.value):
        print(*_described(cuda, ordinal), _driver_version(), sep=", ")


def _described(cuda: ctypes.CDLL, ordinal: int) -> tuple[str, str]:
    device, name, value = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), ordinal)
    _call(cuda, "cuDeviceGetName", name, len(name), device)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        capability.append(str(value.value))
    return name.value.decode(), ".".join(capability)


def _driver_version() -> str:
    """Return the version that the kernel's module states; "" if it states none."""
    text = _VERSION_FILE.read_text() if _VERSION_FILE.is_file() else ""
    found = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", text.partition("\n")[0])
    return found[1] if found else ""


def _call(cuda: ctypes.CDLL, function: str, *arguments: object) -> None:
    if status := getattr(cuda, function)(*arguments):
        raise SystemExit(f"{function} fails with CUDA error {status}")


if __name__ == "__main__":
    main()
