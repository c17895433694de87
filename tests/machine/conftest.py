"""Folders and networks that a program meets: full of modules with well-known names, and watched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lnlattennet._cache_folder import cache_folder
from tests.machine.interposer import interpose

INSTALLED = (
    "cv2 google gevent lightning numpy onnx onnxruntime openvino packaging PIL pydantic rich "
    "setuptools sitecustomize torch triton_python_backend_utils typer usercustomize"
)

WATCH = """
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
static void note(const char *what) {
    FILE *file = fopen(NOTES, "a");
    if (file) { fprintf(file, "%s\\n", what ? what : "?"); fclose(file); }
}
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    int (*next)() = dlsym(RTLD_NEXT, "getaddrinfo");
    struct in_addr address;
    if (node && strcmp(node, "localhost") && !inet_aton(node, &address)) note(node);
    return next(node, service, hints, found);
}
struct hostent *gethostbyname(const char *name) { note(name); return 0; }
int res_query(const char *name, int a, int b, unsigned char *c, int d) { note(name); return -1; }
int connect(int fd, const struct sockaddr *to, socklen_t size) {
    int (*next)() = dlsym(RTLD_NEXT, "connect");
    if (to->sa_family == AF_INET && ((unsigned char *)&((struct sockaddr_in *)to)->sin_addr)[0] != 127) {
        note("a connection");
        errno = ENETUNREACH;
        return -1;
    }
    return next(fd, to, size);
}
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of modules named like real ones; return the file where each notes that it ran."""
    folder, notes = tmp_path / "folder", tmp_path / "ran"
    folder.mkdir()
    for name in {*sys.stdlib_module_names, *INSTALLED.split()}:
        (folder / f"{name}.py").write_text(
            f"open({str(notes)!r}, 'a').write({name!r}); raise SystemExit(1)\n"
        )
    for name in ("c++", "g++", "nvidia-smi", "tritonserver"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {notes}\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.chdir(folder)
    return notes


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the file where programs that this test starts note the names that they look up."""
    notes = tmp_path / "lookups"
    interpose(monkeypatch, tmp_path, f'#define NOTES "{notes}"\n{WATCH}')
    for name in ("CI", "ORT_DISABLE_TELEMETRY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    # Else the kernels would be built anew.
    monkeypatch.setenv("LNLATTENNET_CACHE", str(cache_folder("kernels").parent))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return notes
