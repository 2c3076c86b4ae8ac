"""The errors of this program, each one line for an operator: what failed, where, and what to do.

PipelineError
├── OptionRefused       2   the command line is wrong
├── RunRefused          2   the run cannot begin
├── ReadError           1   a Kinesis call failed for good
│   └── Gap                 retention dropped records that were not read yet
├── StoreError          1   a store refused for good
├── ManifestError       1   a manifest or resume.json cannot be used
├── Fenced              1   another run with other settings has taken over
├── OverlapError        1   two chunks hold the same stretch of a shard
├── FlinkError          1   the Flink cluster does not do what was asked
├── PipelineFailed      1   the pipeline ended on its runner other than it should
└── Incomplete          1   windows were left without a manifest

The number is the exit code: 2 if nothing was written, 1 after that. Any other exception is a bug. Failures that a
reader handles by itself are in kinesis/errors.py.
"""
from __future__ import annotations

#: The advice of what ends a run but not its work. pipeline/main.py fits it to the command line.
GO_ON = 'what is committed stays, go on with --start=resume'


class PipelineError(Exception):
    """An error whose message is one line for an operator."""

    exit_code = 1


class OptionRefused(PipelineError):
    """The command line as a whole is wrong: the line names the option, the value and what is allowed."""

    exit_code = 2


class RunRefused(PipelineError):
    """The run cannot begin: the line says what is in the way and what to do."""

    exit_code = 2


class ReadError(PipelineError):
    """A Kinesis call failed for good: the line names the call, the stream, the shard and what to do."""


class Gap(ReadError):
    """Retention dropped records before they were read."""


class StoreError(PipelineError):
    """A store refused for good: the line names the call, the place and what to do."""


class ManifestError(PipelineError):
    """A manifest or resume.json says something that this program does not understand, or that another job wrote."""


class Fenced(PipelineError):
    """Another run with other settings has taken over what this one writes, so it commits nothing more."""


class OverlapError(PipelineError):
    """Two chunks of one object hold the same stretch of a shard: the object would hold lines twice."""


class FlinkError(PipelineError):
    """The Flink cluster does not do what was asked: the line says what, and what to do."""


class PipelineFailed(PipelineError):
    """The pipeline ended on its runner other than it should; the line has the reason."""


class Incomplete(PipelineError):
    """Windows were left without a manifest; the line says how to write them again."""
