from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

from pipeline.runners.runners import beam_options
from pipeline.runners.worker_pool import start_pool, workers_here
from tests.command_lines import options_of
from tests.listening import is_loopback, listening
from tests.waiting import wait_until

PRISM, FLINK = ['--runner', 'PrismRunner'], ['--runner', 'FlinkRunner']
EXTERNAL = ['--environment_type=EXTERNAL', '--environment_config=host:1']


def built_for(*args: str) -> tuple[str, PipelineOptions]:
    options = options_of(*args)
    return options.runner, beam_options(options)


def environment(built: PipelineOptions) -> Any:
    portable = built.view_as(PortableOptions)
    return portable.environment_type, portable.environment_config


def test_a_pool_listens_on_the_loopback_interface_alone_and_beams_own_on_all() -> None:
    mine = {os.getpid()}
    before = listening(mine)
    address, server = start_pool(BeamFnExternalWorkerPoolServicer())
    ours = listening(mine) - before
    server.stop(0).wait()
    _, beams_server = BeamFnExternalWorkerPoolServicer.start()
    beams = listening(mine) - before - ours
    beams_server.stop(0).wait()

    assert [f'{host}:{port}' for _, host, port in ours] == [address]
    assert [is_loopback(host) for _, host, _ in ours] == [True]
    assert [is_loopback(host) for _, host, _ in beams] == [False]


@pytest.mark.parametrize('args', [
    PRISM, [*PRISM, '--environment_type=LOOPBACK'], FLINK, [*FLINK, '--flink_master=[auto]'],
    [*FLINK, '--flink_master=host:8081', '--environment_type=LOOPBACK']])
def test_workers_that_beam_would_serve_on_all_interfaces_are_served_on_one(args: list[str]) -> None:
    runner, built = built_for(*args)
    before, mine = environment(built), listening({os.getpid()})

    with workers_here(runner, built):
        kind, address = environment(built)
        ((_, host, port),) = listening({os.getpid()}) - mine
        with grpc.insecure_channel(address) as channel:
            answer = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StopWorker(
                beam_fn_api_pb2.StopWorkerRequest(worker_id='none'), timeout=50)

    assert (kind, address, host) == ('EXTERNAL', f'127.0.0.1:{port}', '127.0.0.1')
    assert answer == beam_fn_api_pb2.StopWorkerResponse()
    assert environment(built) == before


@pytest.mark.parametrize('args', [
    [], [*PRISM, *EXTERNAL], [*FLINK, '--flink_master=host:8081'], [*FLINK, *EXTERNAL],
    ['--runner', 'DataflowRunner']])
def test_workers_that_are_elsewhere_are_not_served(args: list[str]) -> None:
    runner, built = built_for(*args)
    before, mine = environment(built), listening({os.getpid()})

    with workers_here(runner, built):
        assert (environment(built), listening({os.getpid()})) == (before, mine)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_the_pool_of_a_cluster_listens_on_its_port_until_it_is_told_to_end(number: int) -> None:
    pool = subprocess.Popen([sys.executable, '-m', 'pipeline.runners.worker_pool', '0'], stderr=subprocess.PIPE,
                            text=True)
    try:
        ((_, host, _),) = wait_until(lambda: listening({pool.pid}), 'a socket of the pool')
        assert host == '127.0.0.1'
        pool.send_signal(number)
        assert pool.wait(timeout=50) == 0
    finally:
        pool.kill()
        pool.communicate()
