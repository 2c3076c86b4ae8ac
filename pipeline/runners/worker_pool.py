"""Beam's worker pool on the loopback interface alone: Beam's own listens on all, and starts a worker for whoever asks.

`python -m pipeline.runners.worker_pool PORT` beside a TaskManager: workers are processes, started by the name `python`.
"""
from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator

import grpc
from apache_beam.options.pipeline_options import DebugOptions, FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer, kill_process_gracefully
from apache_beam.utils import thread_pool_executor

LOOPBACK = '127.0.0.1'
#: As Beam's own: a worker pings its pool however long no data goes over the line.
KEEP_ALIVE = [('grpc.http2.max_pings_without_data', 0), ('grpc.http2.max_ping_strikes', 0)]


def start_pool(pool: BeamFnExternalWorkerPoolServicer, port: int = 0) -> tuple[str, grpc.Server]:
    """Serve a pool on this machine alone. Return its host and port, and the server."""
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=KEEP_ALIVE)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    bound = server.add_insecure_port(f'{LOOPBACK}:{port}')
    server.start()
    return f'{LOOPBACK}:{bound}', server


@contextlib.contextmanager
def workers_here(runner: str, built: PipelineOptions) -> Iterator[None]:
    """Serve the workers of a job in this process, if its runner would (LOOPBACK), as long as the block lasts."""
    portable = built.view_as(PortableOptions)
    if not _is_loopback(runner, built):
        yield
        return
    before = portable.environment_type, portable.environment_config
    portable.environment_config, server = start_pool(BeamFnExternalWorkerPoolServicer(
        state_cache_size=sdk_worker_main._get_state_cache_size_bytes(options=built),
        data_buffer_time_limit_ms=sdk_worker_main._get_data_buffer_time_limit_ms(
            built.view_as(DebugOptions).experiments or [])))
    portable.environment_type = 'EXTERNAL'
    try:
        yield
    finally:
        server.stop(1)
        portable.environment_type, portable.environment_config = before


def _is_loopback(runner: str, built: PipelineOptions) -> bool:
    kind = built.view_as(PortableOptions).environment_type
    if kind is not None or runner != 'FlinkRunner':
        return kind == 'LOOPBACK' or (kind is None and runner == 'PrismRunner')
    from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES  # imports requests, for 40 ms

    return built.view_as(FlinkRunnerOptions).flink_master in MAGIC_HOST_NAMES  # a cluster inside the job server


def main(port: str, use_process: bool = True) -> None:
    """Serve until SIGTERM or Ctrl-C, then end the workers: processes, or threads of this one."""
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    pool = BeamFnExternalWorkerPoolServicer(use_process)
    address, _ = start_pool(pool, int(port))
    logging.info('worker pool at %s', address)
    told_to_end.wait()
    for worker in pool._worker_processes.values():
        kill_process_gracefully(worker)


if __name__ == '__main__':
    main(sys.argv[1])
