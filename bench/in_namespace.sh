#!/usr/bin/env bash
# What `ssh HOST COMMAND` is for machines, for the namespaces of namespaces.py.
set -euo pipefail
shift # The address; there is one namespace to go to.
exec unshare --uts bash -c 'hostname synfire-b && exec ip netns exec synfire-b bash -c "$0"' "$*"
