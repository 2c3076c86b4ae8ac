"""Kinesis and S3 inside this process, on a free port of the loopback interface, and an environment that knows no other.

Not a place to test resharding or throttling: the embedded Kinesis does neither as AWS does.
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

# What PutRecords takes in one call; a record counts with its partition key.
PUT_RECORDS = 500
PUT_BYTES = 5 << 20
PUT_ATTEMPTS = 8


class Put(NamedTuple):
    """A record that Kinesis has taken, and where it is now."""

    partition_key: str
    data: bytes
    shard: str
    sequence: str


def demo_environment() -> dict[str, str]:
    """Give this process's environment without anything that leads to an AWS account: for jobs on LocalAws.

    Every AWS_* variable goes, the config and credentials files and the metadata service are switched off, the keys are
    dummies, and a proxy, if there is one, is not asked for the loopback interface.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith('AWS_')}
    beside = [kept[name] for name in ('no_proxy', 'NO_PROXY') if kept.get(name)]
    no_proxy = ','.join([*beside[:1], LOOPBACK])
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
    """Run Kinesis and S3 for as long as the `with` block lasts; nothing survives it.

    For that long this process's environment is `demo_environment()`: the servers, the clients and any job run in here
    look for credentials there. `endpoint` is the URL of both, `kinesis` and `s3` are clients of it.

    >>> with LocalAws() as aws:
    ...     aws.create_stream('events', 1)
    ...     [put.shard for put in aws.put_records('events', [('key', b'{}')])]
    ['shardId-000000000000']

    One at a time in a process: the embedded servers of a process share their contents.
    """

    kinesis: Any
    s3: Any
    endpoint: str

    def __enter__(self) -> LocalAws:
        from moto.server import ThreadedMotoServer  # half a second that only those who use it pay

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
        """Put records, each a partition key and bytes, see `put_records`."""
        return put_records(self.kinesis, stream, records)

    def _client(self, service: str) -> Any:
        credentials = dict(zip(('aws_access_key_id', 'aws_secret_access_key'), CREDENTIALS.values(), strict=True))
        return boto3.session.Session(region_name=REGION).client(service, endpoint_url=self.endpoint, **credentials)


def put_records(kinesis: Any, stream: str, records: Iterable[tuple[str, bytes]]) -> list[Put]:
    """Put records in as few calls as Kinesis allows, the refused ones again: what was put, in the order given.

    Raises RuntimeError when Kinesis goes on refusing.
    """
    return [put for call in _calls(records) for put in _put_call(kinesis, stream, call)]


def _put_call(kinesis: Any, stream: str, call: list[tuple[str, bytes]]) -> list[Put]:
    done: dict[int, Put] = {}
    for attempt in range(PUT_ATTEMPTS):
        time.sleep(0.05 * 2 ** attempt if attempt else 0)
        places = [place for place in range(len(call)) if place not in done]
        entries = [{'PartitionKey': call[place][0], 'Data': call[place][1]} for place in places]
        answers = kinesis.put_records(StreamName=stream, Records=entries)['Records']
        for place, answer in zip(places, answers, strict=True):
            if 'ErrorCode' not in answer:
                done[place] = Put(*call[place], answer['ShardId'], answer['SequenceNumber'])
        if len(done) == len(call):
            return [done[place] for place in range(len(call))]
    raise RuntimeError(f'stream {stream} refused {len(call) - len(done)} records {PUT_ATTEMPTS} times')


def _calls(records: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    call: list[tuple[str, bytes]] = []
    size = 0
    for key, data in records:
        weight = len(key.encode()) + len(data)
        if call and (len(call) == PUT_RECORDS or size + weight > PUT_BYTES):
            yield call
            call, size = [], 0
        call.append((key, data))
        size += weight
    if call:
        yield call


def _set_environment(environment: dict[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
