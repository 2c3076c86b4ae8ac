from __future__ import annotations

import grpc
import pytest

from pipeline.errors import ManifestError, OverlapError, ReadError, StoreError
from pipeline.runners.failures import reason_of


@pytest.mark.parametrize('kind', [ReadError, StoreError, ManifestError, OverlapError])
def test_the_reason_of_an_error_is_its_message_without_beams_step(kind: type[Exception]) -> None:
    name = f'{kind.__module__}.{kind.__name__}'
    trace = f'Traceback (most recent call last):\n  File "x.py"\n{name}: first\n\nduring:\n{name}: no such bucket'

    assert reason_of(kind('no such bucket')) == 'no such bucket'
    assert reason_of(kind("no such bucket [while running 'WriteObjects/Put']")) == 'no such bucket'
    assert reason_of(RuntimeError(f"{trace} [while running 'WriteObjects/Put']\n\n")) == 'no such bucket'
    assert reason_of(RuntimeError(f'Pipeline job-1 failed in state FAILED: bundle failed:{trace}')) == 'no such bucket'


def test_an_error_of_the_aws_sdk_has_a_reason() -> None:
    text = 'Traceback\nbotocore.exceptions.NoCredentialsError: Unable to locate credentials [while running \'Put\']'

    assert reason_of(RuntimeError(text)) == 'Unable to locate credentials'


@pytest.mark.parametrize('error', [
    RuntimeError('Traceback\nKeyError: 3'), RuntimeError(''), KeyError('pipeline.errors.StoreError: no'), TypeError()])
def test_a_bug_has_no_reason(error: Exception) -> None:
    assert reason_of(error) is None


def test_a_panic_of_prism_is_a_reason_unless_a_worker_said_why() -> None:
    panic = ('Pipeline job-001 failed in state FAILED: panic in stage.Execute bundle processing goroutine: runtime '
             'error: invalid memory address, stage: &{ID:stage-010 transforms:[a]},stackTrace:\ngoroutine 164')

    assert reason_of(RuntimeError(panic)) == (
        'Prism failed by a fault of its own (runtime error: invalid memory address); what is committed stays, go on '
        'with --start=resume')
    assert reason_of(RuntimeError(f'{panic}\npipeline.errors.StoreError: no bucket')) == 'no bucket'
    assert reason_of(ValueError(panic)) is None


def test_a_lost_runner_is_a_reason() -> None:
    assert reason_of(grpc.RpcError()) == (
        'the runner does not answer any more; what is committed stays, go on with --start=resume')
