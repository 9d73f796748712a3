"""The process of a job: `python -m ltr.app FOLDER RUNS` runs the study in the folder of the job."""

import sys
from pathlib import Path

from ltr.app.job import Job
from ltr.errors import InputError

folder, runs = map(Path, sys.argv[1:])
try:
    sys.exit(Job(folder.name, folder, runs).work())
except InputError as error:
    print(f"ltr: error: {error}", file=sys.stderr)
    sys.exit(2)
