#!/usr/bin/env bash
# Stands for the tests of the screen where configure did not find libvterm: says which are skipped.
echo "libvterm was not found, so these did not run: ${TUTTI_VTERM_SUITES:-none}"
exit 77
