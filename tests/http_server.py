"""Run an HTTP server of this process."""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from typing import TypeVar

S = TypeVar('S', bound=HTTPServer)


@contextlib.contextmanager
def running(server: S) -> Iterator[S]:
    """Let a server answer from a thread until the block ends. It ends at once: by default it looks twice a second."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
