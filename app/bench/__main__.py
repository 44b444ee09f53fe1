"""`python -m app.bench [--whole] [name,name]`: prints a table and writes `.blp/bench/<name>.json`."""

import signal
import sys
from typing import NoReturn

from app.bench.harness import CannotMeasure
from app.bench.run import FOLDER, UnknownName, run
from app.core.processes import ChildBroken


def main(arguments: list[str]) -> int:
    """Exit status 2 for a name there is none of, 1 where something could not be measured honestly."""
    # Ended from outside, unwind, so that what was started is stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, _unwind)
    names = [name for name in ",".join(each for each in arguments if each != "--whole").split(",") if name]
    try:
        run(names, folder=FOLDER, say=lambda line: print(line, flush=True), whole="--whole" in arguments)
    except UnknownName as exc:
        print(exc, file=sys.stderr)
        return 2
    except (CannotMeasure, ChildBroken) as exc:
        print(f"Nothing was measured: {exc}", file=sys.stderr)
        return 1
    return 0


def _unwind(*_: object) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
