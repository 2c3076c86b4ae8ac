"""Measure what the job costs, as ratios between candidates that take turns in one run: `./run.sh bench`."""
