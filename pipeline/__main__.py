"""`python -m pipeline`: parse the command line, run the job, say how it ended."""
import sys

from pipeline.main import leave, main

if __name__ == '__main__':
    leave(main(sys.argv[1:]))
