#!/usr/bin/env bash
# The essential end-to-end tests once more, without encryption: all of them run over TLS, unless E2E_PLAIN=1 is
# given (make check-plain), as some of the suites do: t_net and t_session have a server of their own.
set -euo pipefail
export E2E_PLAIN=1
for name in exercise dials graph bad config; do
	echo "--- e2e_$name.sh"
	bash "$(dirname "$0")/e2e_$name.sh"
done
