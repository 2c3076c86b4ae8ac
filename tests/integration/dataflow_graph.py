"""Run the real command line, and print the job that it would submit to Dataflow as JSON.

Run by the Python that has Beam's extra for Google Cloud: `python -m tests.integration.dataflow_graph OPTIONS`.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from pipeline.main import main

GROUP, DO = 'beam:transform:group_by_key:v1', 'beam:transform:pardo:v1'


def graph_of(argv: list[str]) -> dict[str, Any]:
    """Run the command line. Return a summary of its job. Raise SystemExit if the program fails."""
    jobs: list[Any] = []
    run_pipeline = DataflowRunner.run_pipeline

    def listening(self: DataflowRunner, *args: Any, **named: Any) -> Any:
        result = run_pipeline(self, *args, **named)
        jobs.append(result.job)
        return result

    DataflowRunner.run_pipeline = listening
    code = main(argv)
    if code:
        sys.exit(code)
    (job,) = jobs
    parts = job.proto_pipeline.components
    return {
        'type': job.proto.type_.name,
        'name': job.proto.name, 'requirements': sorted(job.proto_pipeline.requirements),
        'keys': {transform.unique_name: sorted(_key_coders(parts, transform))
                 for transform in parts.transforms.values() if transform.spec.urn == GROUP},
        'readers': next(sorted(_coders(parts, _input(parts, transform).coder_id))
                        for transform in parts.transforms.values()
                        if transform.spec.urn == DO and transform.unique_name.startswith('ReadKinesis/ReadShards')),
        'unbounded': sorted(transform.unique_name for transform in parts.transforms.values()
                            if transform.spec.urn == GROUP and _input(parts, transform).is_bounded == 1),
        'images': sorted({environment.urn for environment in parts.environments.values()})}


def _input(parts: Any, transform: Any) -> Any:
    (name,) = transform.inputs.values()
    return parts.pcollections[name]


def _key_coders(parts: Any, transform: Any) -> Iterator[str]:
    pair = parts.coders[_input(parts, transform).coder_id]
    return _coders(parts, pair.component_coder_ids[0])


def _coders(parts: Any, coder: str) -> Iterator[str]:
    yield parts.coders[coder].spec.urn
    for component in parts.coders[coder].component_coder_ids:
        yield from _coders(parts, component)


if __name__ == '__main__':
    print(json.dumps(graph_of(sys.argv[1:])))
