#!/usr/bin/env bash
# A Ray Data iterator that is freed after ray.shutdown() starts a new Ray on this machine.
#
# Seen with: ray 2.60.0, pyarrow 25.0.1, Python 3.11, Linux x86-64.
# Behavior:  iter_internal_ref_bundles() of a data set starts an executor. When its iterator is freed, the executor shuts
#            itself down and asks Ray for its resources. After ray.shutdown() that call finds no Ray, and Ray's automatic
#            start makes one: with all cores, a new session folder and no end but the process's. Freed before
#            ray.shutdown(), nothing is started.
# Output:    freed before ray.shutdown(): Ray is not running
#            freed after ray.shutdown(): Ray is running
# Bites:     programs that stop on an exception, such as Ctrl-C, with `finally: ray.shutdown()`: the traceback holds the
#            iterator until after it. Where the new session's path is too long for a socket, a traceback of an ignored
#            OSError is printed too.
# Way out:   free the iterator first; in an `except` clause, traceback.clear_frames(error.__traceback__).
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/pip install --quiet --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==25.0.1
cat >one.py <<'EOF'
import gc
import sys

import ray

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
ray.data.DataContext.get_current().enable_progress_bars = False
data = ray.data.range(64, override_num_blocks=64).map_batches(lambda batch: batch, batch_size=1)
iterator = iter(data.iter_internal_ref_bundles())
next(iterator)
order = sys.argv[1]
if order == "before":
    del iterator, data
    gc.collect()
ray.shutdown()
if order == "after":
    del iterator, data
    gc.collect()
print("running" if ray.is_initialized() else "not running")
ray.shutdown()
EOF
export RAY_USAGE_STATS_ENABLED=0 TMPDIR=$folder
before=$(venv/bin/python one.py before 2>/dev/null)
after=$(venv/bin/python one.py after 2>/dev/null)
echo "freed before ray.shutdown(): Ray is $before"
echo "freed after ray.shutdown(): Ray is $after"
[ "$before" = "not running" ] && [ "$after" = "running" ]
