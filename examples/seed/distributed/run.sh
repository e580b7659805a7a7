#!/bin/sh
# One master and two workers on this machine. On several machines: the master's line on one, a
# worker's line with MASTER_HOST set to the master's address on each of the others.
#
#     examples/seed/distributed/run.sh http://127.0.0.1:8000
set -eu

gregaria=${GREGARIA:-gregaria}
locustfile=${LOCUSTFILE:-$(dirname "$0")/../website_user.py}
master_host=${MASTER_HOST:-127.0.0.1}
target=${1:?the URL of the server under test is missing}

# Worker nodes
"$gregaria" -f "$locustfile" --worker --master-host="$master_host" &
"$gregaria" -f "$locustfile" --worker --master-host="$master_host" &

# Master node: begins when both workers are there; they end with it
"$gregaria" -f "$locustfile" --master --master-bind-host="$master_host" --headless \
    --expect-workers 2 --users 10 --spawn-rate 10 --run-time "${RUN_TIME:-10s}" --host "$target"
wait
