"""Beam's worker pool on the loopback interface; `worker_pool_main` itself listens on all interfaces.

`python worker_pool.py PORT`: SDK workers are children of this process and die with its process group.
"""
from __future__ import annotations

import logging
import signal
import sys

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor


def main(port: str, use_process: bool = True) -> None:
    """Serve until SIGTERM; workers are processes, or threads of this one."""
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    pool = BeamFnExternalWorkerPoolServicer(use_process)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f'127.0.0.1:{port}')
    server.start()
    signal.sigwait({signal.SIGTERM})


if __name__ == '__main__':
    main(sys.argv[1])
