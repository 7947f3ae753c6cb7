#!/usr/bin/env bash
# The essential end-to-end tests once more, without encryption: all others run over TLS, unless
# E2E_PLAIN=1 is given.
set -euo pipefail
export E2E_PLAIN=1
for name in exercise dials graph bad; do
	echo "--- e2e_$name.sh"
	bash "$(dirname "$0")/e2e_$name.sh"
done
