"""The demo as a user runs it, in an environment with wrong settings of AWS and proxies."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from pipeline.local import demo
from pipeline.local.events import Sample, sample_records
from tests.waiting import TIMEOUT_S

ROOT = pathlib.Path(__file__).parents[2]
ACCOUNTS = ('records ', 'bytes ', 'events ', 'malformed ', 'objects ')
NOWHERE = 'http://127.0.0.1:9'
HOSTILE = {
    'AWS_PROFILE': 'no-such-profile', 'AWS_ENDPOINT_URL': NOWHERE, 'AWS_ENDPOINT_URL_S3': NOWHERE,
    'AWS_ENDPOINT_URL_KINESIS': NOWHERE, 'AWS_ACCESS_KEY_ID': 'not-to-be-used', 'AWS_REGION': 'nowhere-1',
    'AWS_CONFIG_FILE': '/no/such/file', 'HTTP_PROXY': NOWHERE, 'HTTPS_PROXY': NOWHERE, 'http_proxy': NOWHERE,
    'NO_PROXY': 'example.com', 'PYTHONIOENCODING': 'ascii'}


@pytest.mark.timeout(600)
@pytest.mark.parametrize('turn', ['the first run', 'a second run in a row'])
def test_the_demo_shows_what_was_put_in_under_a_screen_and_a_half(turn: str) -> None:
    done = subprocess.run([sys.executable, '-m', 'pipeline.local.demo'], cwd=ROOT, env={**os.environ, **HOSTILE},
                          text=True, capture_output=True, timeout=TIMEOUT_S)

    assert (done.returncode, done.stderr) == (0, '')
    lines = done.stdout.splitlines()
    shown = lines[next(place for place, line in enumerate(lines) if line.startswith('-- ')):]
    assert len(shown) <= 40 and max(map(len, lines)) <= 120
    accounts = [line for line in shown if line.startswith(ACCOUNTS)]
    assert [line.split()[-1] for line in accounts] == ['equal'] * 5
    assert {lines[0], *accounts[:-1]} <= set((ROOT / 'README.md').read_text(encoding='utf-8').splitlines())
    assert any(line.startswith('$ python -m pipeline --stream') for line in lines)
    assert 'events/year=2022/month=06/day=21/hour=00/platform=      unknown 2' in done.stdout
    assert 'rawData  ' in done.stdout and 'year  month  day  hour  android  ios  other  unknown  web' in lines


@pytest.mark.timeout(600)
def test_a_demo_whose_accounts_do_not_hold_fails(
        monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def more_than_is_put(events: int, now_ms: int) -> list[Sample]:
        first, *others = sample_records(20, now_ms)
        return [first._replace(ids=(*first.ids, 'lost')), *others]

    monkeypatch.setattr(demo, 'BATCHES', 1)
    monkeypatch.setattr(demo, 'sample_records', more_than_is_put)

    code = demo.main()

    different = [line for line in capfd.readouterr().out.splitlines() if line.endswith('DIFFERENT')]
    assert (code, [line.split() for line in different]) == (1, [['events', '23', '22', '22', 'DIFFERENT']])


@pytest.mark.timeout(600)
def test_a_demo_that_is_ended_leaves_no_job_behind() -> None:
    command = [sys.executable, '-m', 'pipeline.local.demo']
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as run:
        assert run.stdout and any(line.startswith('reading from') for line in run.stdout)

        run.terminate()

        left = run.stdout.read()  # ends when the job, too, has closed it
    assert (run.returncode, 'committed' in left) == (130, False)
