"""Kinesis and S3 inside this process, on a free port of the loopback interface, in an environment without AWS accounts.

Do not test resharding or throttling here: the embedded Kinesis does neither as AWS does.
"""
from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import boto3

REGION = 'us-east-1'
CREDENTIALS = {'AWS_ACCESS_KEY_ID': 'demo', 'AWS_SECRET_ACCESS_KEY': 'demo-only'}
LOOPBACK = '127.0.0.1'

# The limits of a call of PutRecords. The bytes of a record include its partition key.
PUT_RECORDS = 500
PUT_BYTES = 5 << 20
PUT_ATTEMPTS = 8


class Put(NamedTuple):
    """A record that Kinesis has accepted, with its shard and sequence number."""

    partition_key: str
    data: bytes
    shard: str
    sequence: str


def demo_environment() -> dict[str, str]:
    """Return this process's environment without anything that leads to an AWS account, for jobs on LocalAws.

    All AWS_* variables are removed, the config and credentials files and the metadata service are switched off, and
    the keys are dummies. If there is a proxy, it is not used for the loopback interface.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith('AWS_')}
    direct = [kept[name] for name in ('no_proxy', 'NO_PROXY') if kept.get(name)]
    no_proxy = ','.join([*direct[:1], LOOPBACK])
    return {
        **kept,
        **CREDENTIALS,
        'AWS_DEFAULT_REGION': REGION,
        'AWS_CONFIG_FILE': os.devnull,
        'AWS_SHARED_CREDENTIALS_FILE': os.devnull,
        'BOTO_CONFIG': os.devnull,
        'AWS_EC2_METADATA_DISABLED': 'true',
        'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS': 'true',
        'NO_PROXY': no_proxy,
        'no_proxy': no_proxy,
    }


class LocalAws:
    """Run Kinesis and S3 during a `with` block. Nothing remains after it.

    During the block, this process's environment is `demo_environment()`, because the servers, the clients and the jobs
    in this process look for credentials there. `endpoint` is the URL of both servers; `kinesis` and `s3` are clients.

    >>> with LocalAws() as aws:
    ...     aws.create_stream('events', 1)
    ...     [put.shard for put in aws.put_records('events', [('key', b'{}')])]
    ['shardId-000000000000']

    Use one at a time in a process: the embedded servers of a process share their contents.
    """

    kinesis: Any
    s3: Any
    endpoint: str

    def __enter__(self) -> LocalAws:
        from moto.server import ThreadedMotoServer  # takes half a second, and most users of this file do without

        logging.getLogger('werkzeug').setLevel(logging.ERROR)
        self._before = dict(os.environ)
        _set_environment(demo_environment())
        self._server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f'http://{host}:{port}'
        self.kinesis, self.s3 = self._client('kinesis'), self._client('s3')
        return self

    def __exit__(self, *error: object) -> None:
        from moto.moto_api._internal import moto_api_backend

        self._server.stop()
        moto_api_backend.reset()
        _set_environment(self._before)

    def create_stream(self, name: str, shards: int) -> None:
        """Create a stream and wait until it can be used."""
        self.kinesis.create_stream(StreamName=name, ShardCount=shards)
        self.kinesis.get_waiter('stream_exists').wait(StreamName=name, WaiterConfig={'Delay': 1, 'MaxAttempts': 60})

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""
        self.s3.create_bucket(Bucket=name)

    def put_records(self, stream: str, records: Iterable[tuple[str, bytes]]) -> list[Put]:
        """Put records on a stream; see `put_records`."""
        return put_records(self.kinesis, stream, records)

    def _client(self, service: str) -> Any:
        credentials = dict(zip(('aws_access_key_id', 'aws_secret_access_key'), CREDENTIALS.values(), strict=True))
        return boto3.session.Session(region_name=REGION).client(service, endpoint_url=self.endpoint, **credentials)


def put_records(kinesis: Any, stream: str, records: Iterable[tuple[str, bytes]]) -> list[Put]:
    """Put records, each a partition key and bytes, in as few calls as possible. Return them in the same order.

    Records that Kinesis refuses are put again. Raise RuntimeError if it refuses one too often.
    """
    return [put for call in _calls(records) for put in _put_call(kinesis, stream, call)]


def _put_call(kinesis: Any, stream: str, call: list[tuple[str, bytes]]) -> list[Put]:
    done: dict[int, Put] = {}
    for attempt in range(PUT_ATTEMPTS):
        time.sleep(0.05 * 2 ** attempt if attempt else 0)
        left = [index for index in range(len(call)) if index not in done]
        entries = [{'PartitionKey': call[index][0], 'Data': call[index][1]} for index in left]
        answers = kinesis.put_records(StreamName=stream, Records=entries)['Records']
        for index, answer in zip(left, answers, strict=True):
            if 'ErrorCode' not in answer:
                done[index] = Put(*call[index], answer['ShardId'], answer['SequenceNumber'])
        if len(done) == len(call):
            return [done[index] for index in range(len(call))]
    raise RuntimeError(f'stream {stream} refused {len(call) - len(done)} records {PUT_ATTEMPTS} times')


def _calls(records: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    call: list[tuple[str, bytes]] = []
    size = 0
    for key, data in records:
        record_size = len(key.encode()) + len(data)
        if call and (len(call) == PUT_RECORDS or size + record_size > PUT_BYTES):
            yield call
            call, size = [], 0
        call.append((key, data))
        size += record_size
    if call:
        yield call


def _set_environment(environment: dict[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
