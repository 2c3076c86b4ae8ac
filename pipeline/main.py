"""The program: from arguments to an exit code."""
from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from pipeline.options import Options, parse_options

#: As shells show a program that Ctrl-C ended.
INTERRUPTED = 130
FAILED, REFUSED = 1, 2
NO_REGION = "--aws_region: must be given: neither an ARN in --stream nor the AWS SDK's configuration names a region"


def main(argv: Sequence[str]) -> int:
    """Run the job; gives the exit code: 0 done, 1 failed or incomplete, 2 wrong options, 130 interrupted.

    A continuous run that is ended by Ctrl-C or SIGTERM has done its work: 0.
    """
    options = parse_options(argv)
    logging.basicConfig(level=logging.WARNING, format='%(asctime)s %(levelname)s %(message)s', force=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print('pipeline: ended; what is committed stays, go on with --start=resume', file=sys.stderr)
        _leave(0 if options.stop is None else INTERRUPTED)


def _run(options: Options) -> int:
    # Beam and boto3 take a second to import: --help and wrong options answer without them.
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

    from pipeline.kinesis.errors import ReadError
    from pipeline.manifests import ManifestError
    from pipeline.run import Incomplete, run
    from pipeline.settings import RunRefused

    try:
        for line in run(options):
            print(line, flush=True)
    except RunRefused as error:
        return _failed(error, REFUSED)
    except NoRegionError:
        return _failed(NO_REGION, REFUSED)
    except (ReadError, ManifestError, Incomplete, BotoCoreError, ClientError) as error:
        return _failed(error, FAILED)
    return 0


def _failed(error: Exception | str, code: int) -> int:
    print(f'pipeline: error: {error}', file=sys.stderr)
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _leave(code: int) -> NoReturn:
    """End at once: a runner's threads may be in the middle of a window, which a resume reads again."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
