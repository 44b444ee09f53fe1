"""Resolve pyproject.toml into requirements.txt and requirements-dev.txt: universal, hashed, without addresses.

Needs `uv` on the PATH (`pip install uv`); its own lock file names registries and is not kept.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMON = [
    "uv",
    "export",
    "--quiet",
    "--format",
    "requirements-txt",
    "--no-emit-project",
    "--no-header",
    "--no-annotate",
]


def main() -> None:
    subprocess.run(["uv", "lock", "--upgrade"], cwd=ROOT, check=True)
    try:
        for name, groups in (("requirements.txt", "--no-dev"), ("requirements-dev.txt", "--all-groups")):
            subprocess.run([*COMMON, groups, "--output-file", name], cwd=ROOT, check=True)
            if "://" in (ROOT / name).read_text().replace("# https://", ""):
                sys.exit(f"{name} carries an address; it must not be committed")
    finally:
        (ROOT / "uv.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
