"""What the job costs, as ratios between candidates that take turns within one run: `./run.sh bench`."""
