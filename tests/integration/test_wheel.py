"""What `pip install .` brings: our two packages whole, and nothing else at the top."""
from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'pipeline', 'transforms', 'tests')


@pytest.mark.timeout(240)
def test_the_wheel_holds_our_two_packages_and_the_licence(tmp_path: pathlib.Path) -> None:
    source = tmp_path / 'source'
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)

    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--disable-pip-version-check', '--no-deps',
                    '--wheel-dir', str(tmp_path), str(source)], check=True, capture_output=True, timeout=230)

    (wheel,) = tmp_path.glob('*.whl')
    names = {name for name in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in name}
    assert names == {file.relative_to(ROOT).as_posix()
                     for top in ('pipeline', 'transforms') for file in (ROOT / top).rglob('*.py')}
    assert any(name.endswith('/licenses/LICENSE') for name in zipfile.ZipFile(wheel).namelist())
