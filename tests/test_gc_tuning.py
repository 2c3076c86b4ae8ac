from __future__ import annotations

import subprocess
import sys

CHECK = """
import gc
from pipeline.gc_tuning import YOUNG, tune_gc
before = gc.get_freeze_count()
tune_gc()
frozen = gc.get_freeze_count()
gc.unfreeze()
tune_gc()
assert (before, frozen > 0, gc.get_freeze_count(), gc.get_threshold()[0], gc.isenabled()) == (0, True, 0, YOUNG, True)
"""


def test_the_garbage_collector_is_tuned_once_per_process_and_stays_on() -> None:
    subprocess.run([sys.executable, '-c', CHECK], check=True)
