"""Fetch the chat templates that llama.cpp collects, for the tests of rendering.

    python scripts/fetch_templates.py DIRECTORY

They are in the source package of llama-cpp-python, which the lock names and pip has in its cache
from compiling it. Nothing of it is installed. Exit code 1 where it cannot be had.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements" / "runtime.txt"
PACKAGE = re.compile(r"^llama-cpp-python==(?:.*\\\n)*.*\n", re.MULTILINE)
TEMPLATE = re.compile(r".*/models/templates/([\w.-]+\.jinja)")


def download(folder: Path) -> Path | None:
    """The source package, checked against the lock's digests."""
    pinned = PACKAGE.search(LOCK.read_text())
    assert pinned is not None
    (folder / "lock.txt").write_text(pinned[0])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "llama-cpp-python", "--no-build-isolation", "--require-hashes"]
    command += ["--dest", str(folder), "-r", str(folder / "lock.txt")]
    if subprocess.run(command, check=False).returncode:
        return None
    return next(folder.glob("*.tar.gz"), None)


def main() -> int:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = download(Path(temporary))
        if source is None:
            return 1
        with tarfile.open(source) as archive:
            for member in archive:
                match = TEMPLATE.fullmatch(member.name)
                content = archive.extractfile(member) if match else None
                if match and content:
                    (target / match[1]).write_bytes(content.read())
    return 0


if __name__ == "__main__":
    sys.exit(main())
