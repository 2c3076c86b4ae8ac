from __future__ import annotations

import argparse

import pytest

from pipeline.errors import OptionRefused
from pipeline.options.options import check_together

FINE: dict[str, object] = {
    'start': None, 'start_over': False, 'stop': None, 'new_layout': False, 'no_backup': False, 'backup_output': None,
    'output': '/lake', 'errors_output': None, 'runner': 'DirectRunner', 'readers': None, 's3_disable_ssl': False,
    's3_sse': None, 's3_kms_key_id': None}


@pytest.mark.parametrize('values', [
    {}, {'start': 0, 'stop': 300_000}, {'start': 'latest', 'stop': 300_000}, {'start': 'earliest', 'stop': 'now'},
    {'start': 0, 'stop': 'now'}, {'new_layout': True}, {'new_layout': True, 'start': 'resume'},
    {'new_layout': True, 'start': 'latest'}, {'start_over': True, 'start': 'earliest'},
    {'start_over': True, 'start': 0, 'stop': 'now'},
    {'readers': 9}, {'readers': 9, 'runner': 'FlinkRunner'}, {'readers': 1, 'runner': 'PrismRunner'},
    {'no_backup': True}, {'backup_output': '/b'}, {'backup_output': '/lake'}, {'errors_output': '/lake/events-errors'},
    {'runner': 'DataflowRunner', 'output': 's3://lake', 'errors_output': 's3://errors'},
    {'s3_sse': 'AES256', 'output': 's3://lake'}, {'s3_sse': 'aws:kms', 'errors_output': 's3://lake'},
    {'s3_sse': 'aws:kms', 's3_kms_key_id': 'alias/x', 'output': 's3://lake'}])
def test_these_go_together(values: dict[str, object]) -> None:
    check_together(argparse.Namespace(**{**FINE, **values}))


@pytest.mark.parametrize('values', [
    {'start': 300_000, 'stop': 300_000}, {'start': 300_000, 'stop': 0}, {'start': 'latest', 'stop': 'now'},
    {'new_layout': True, 'start': 'earliest', 'stop': 'now'}, {'new_layout': True, 'start': 0, 'stop': 'now'},
    {'new_layout': True, 'start': 0, 'start_over': True}, {'start_over': True},
    {'start_over': True, 'start': 'resume'}, {'readers': 2, 'runner': 'PrismRunner'},
    {'no_backup': True, 'backup_output': '/b'}, {'s3_disable_ssl': True}, {'runner': 'DataflowRunner'},
    {'errors_output': '/lake/events'}, {'backup_output': '/lake/manifests/b'},
    {'runner': 'DataflowRunner', 'output': 's3://lake', 'backup_output': '/b'},
    {'s3_kms_key_id': 'x', 'output': 's3://lake'}, {'s3_sse': 'AES256', 's3_kms_key_id': 'x', 'output': 's3://lake'},
    {'s3_sse': 'aws:kms'}])
def test_these_do_not(values: dict[str, object]) -> None:
    with pytest.raises(OptionRefused):
        check_together(argparse.Namespace(**{**FINE, **values}))
