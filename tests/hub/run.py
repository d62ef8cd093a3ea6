#!/usr/bin/env python3
"""Getting models: pull against a hub on this machine with every fault a line has, import, verify, rm.

    tests/hub/run.py --bin build/vizsla [--only WORD] [--seed N]

Each cases_*.py holds a topic: functions that take a Bench (bench.py), run in the order they are in.
The hub (server.py) serves Hugging Face's URLs over small generated models. No other network is used.
Ends with `N passed, N failed, N skipped`. Standard library only; `openssl` for the TLS tests.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cases_line  # noqa: E402
import cases_machine  # noqa: E402
import cases_pull  # noqa: E402
import cases_store  # noqa: E402
import cases_trust  # noqa: E402
from bench import Bench, Skip  # noqa: E402

TOPICS = [cases_pull, cases_line, cases_trust, cases_machine, cases_store]


def tests():
    """The functions of each topic whose one argument is `bench`."""
    for topic in TOPICS:
        for test in vars(topic).values():
            code = getattr(test, "__code__", None)
            if code and code.co_varnames[:code.co_argcount] == ("bench",):
                yield test


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    binary = str(pathlib.Path(options.bin).resolve())
    passed = failed = skipped = 0
    for test in tests():
        name = test.__name__.replace("_", " ")
        if options.only not in test.__name__:
            continue
        with tempfile.TemporaryDirectory(prefix="vizsla-hub-") as folder:
            bench = Bench(binary, folder, options.seed)
            bench.mounted = None
            began = time.monotonic()
            try:
                test(bench)
                passed += 1
                print(f"ok   {name} ({time.monotonic() - began:.1f} s)")
            except Skip as reason:
                skipped += 1
                print(f"SKIP {name}: {reason}")
            except Exception:  # noqa: BLE001 - any failure is a failed test
                failed += 1
                print(f"FAIL {name}\n     " + traceback.format_exc(limit=-3).replace("\n", "\n     "))
            finally:
                bench.stop()
                if bench.mounted:
                    subprocess.run(["umount", "-l", bench.mounted], check=False)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
