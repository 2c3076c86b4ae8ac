"""`python -m pipeline`: parse the command line, run the job, say how it ended."""
import sys

from pipeline.main import main

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
