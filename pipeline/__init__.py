"""The job and all it knows of the world: AWS, command line, clocks, runners."""
