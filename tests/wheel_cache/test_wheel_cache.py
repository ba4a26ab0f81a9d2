"""A compiled llama.cpp is taken from the cache by whoever asks for the same, and by nobody else.

The recipe itself runs; Python, pip with its compiler, and the processor are stand-ins. That the wheels of
the real compiler run is shown by the model server's image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "roles/private_model/files/images/ilab"
STANDINS = ROOT / "tests/standins/compiler"
VERSION = re.findall(r"^llama-cpp-python==(\S+)", (IMAGE / "locks/source.lock").read_text(), re.M)[0]
HASWELL = "flags\t\t: fpu sse2 avx avx2 fma\n"
ZEN = "flags\t\t: fpu sse2 avx avx2 fma avx512f\n"


class Builder:
    """Builds in one cache, as images do that are built one after the other."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.recipe = folder / "cache", folder / "recipe"
        self.log, self.cpuinfo = folder / "compiled", folder / "cpuinfo"
        shutil.copytree(IMAGE / "wheel", self.recipe)
        # As the Containerfile puts them beside it.
        for name in ("build.lock", "source.lock"):
            shutil.copy(IMAGE / "locks" / name, self.recipe)
        self.folder, self.number = folder, 0

    def run(
        self, cpu: str = "native", flags: str = HASWELL, machine: str = "x86_64", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """One build, its wheel in a directory of its own (`out`)."""
        self.number += 1
        self.out = self.folder / f"out{self.number}"
        self.cpuinfo.write_text(flags)
        env = {
            "PATH": f"{STANDINS}{os.pathsep}{os.environ['PATH']}",
            "CPU": cpu,
            "CACHE": str(self.cache),
            "OUT": str(self.out),
            "COMPILED": str(self.log),
            "CPUINFO": str(self.cpuinfo),
            "MACHINE": machine,
            "VERSION": VERSION,
            **more,
        }
        return subprocess.run(
            [str(self.recipe / "build-wheel.sh")],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def wheel(self, cpu: str = "native", flags: str = HASWELL, machine: str = "x86_64") -> str:
        """What the wheel of a build was compiled with."""
        done = self.run(cpu, flags, machine)
        assert done.returncode == 0, done.stdout + done.stderr
        (built,) = self.out.glob("*.whl")
        return built.read_text()

    @property
    def compiled(self) -> int:
        """How often something was compiled."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    @property
    def kept(self) -> list[Path]:
        """The wheels in the cache, half-done ones too."""
        return sorted(path for path in self.cache.iterdir() if path.is_dir())


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    """With an empty cache."""
    return Builder(tmp_path)


@pytest.mark.parametrize("cpu", ["native", "avx2", "plain"])
def test_the_second_build_compiles_nothing(builder: Builder, cpu: str) -> None:
    first = builder.wheel(cpu)
    assert builder.compiled == 1
    assert builder.wheel(cpu) == first
    assert builder.compiled == 1
    assert (builder.cache / "progress").read_text().splitlines()[-1].endswith("taken from the cache")


def test_a_wheel_for_another_processor_is_never_met(builder: Builder) -> None:
    kinds = [("native", HASWELL), ("native", ZEN), ("avx2", HASWELL), ("plain", HASWELL)]
    wheels = [builder.wheel(*kind) for kind in kinds]
    assert builder.compiled == len(builder.kept) == 4
    assert wheels[0] == wheels[1] == "GGML_NATIVE=ON"
    assert "GGML_NATIVE=OFF" in wheels[2] and "GGML_AVX2=ON" in wheels[2]
    assert "GGML_NATIVE=OFF" in wheels[3] and "GGML_AVX2=OFF" in wheels[3]
    # Each finds its own again, and what is made for any processor serves on all of them.
    assert [builder.wheel(*kind) for kind in kinds] == wheels
    assert [builder.wheel(cpu, ZEN) for cpu in ("avx2", "plain")] == wheels[2:]
    assert builder.compiled == 4


def test_another_architecture_and_another_recipe_have_wheels_of_their_own(builder: Builder) -> None:
    assert "GGML_AVX2=OFF" in builder.wheel("plain")
    assert builder.wheel("plain", machine="aarch64") == "GGML_NATIVE=OFF GGML_CPU_ARM_ARCH=armv8-a"
    with (builder.recipe / "build.lock").open("a") as lock:
        lock.write("another-tool==1.0\n")
    builder.wheel("plain")
    assert builder.compiled == len(builder.kept) == 3


def test_a_comment_in_the_recipe_is_no_reason_to_compile(builder: Builder) -> None:
    builder.wheel()
    with (builder.recipe / "CMakeLists.txt").open("a") as recipe:
        recipe.write("# said more clearly\n")
    builder.wheel()
    assert builder.compiled == 1


def test_a_damaged_wheel_is_compiled_anew(builder: Builder) -> None:
    whole = builder.wheel()
    (kept,) = builder.cache.glob("*/*.whl")
    kept.write_text("cut off")
    assert builder.wheel() == whole
    assert builder.compiled == 2


def test_a_compile_that_breaks_off_leaves_nothing(builder: Builder) -> None:
    broken = builder.run(BREAK_OFF="1")
    assert broken.returncode != 0 and "failed: building llama.cpp stopped" in broken.stdout
    assert builder.kept == [] and not list(builder.out.iterdir())
    builder.wheel()
    assert builder.compiled == 2


@pytest.mark.parametrize(
    ("cpu", "machine", "said"),
    [
        ("avx512", "x86_64", "CPU mode 'avx512' is unknown; allowed: native, avx2, plain"),
        ("avx2", "aarch64", "CPU mode 'avx2' is for x86-64; this is aarch64: use native or plain"),
        ("native", "riscv64", "architecture 'riscv64' is not supported; supported: x86_64, aarch64"),
    ],
)
def test_what_cannot_be_built_is_refused(builder: Builder, cpu: str, machine: str, said: str) -> None:
    refused = builder.run(cpu, machine=machine)
    assert refused.returncode == 1 and said in refused.stderr
    assert builder.kept == [] and builder.compiled == 0
