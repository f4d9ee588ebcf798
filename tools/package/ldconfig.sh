#!/bin/sh
# The library comes or goes: the dynamic linker is told.
set -e
case $1 in
configure | remove)
    ldconfig -r "${DPKG_ROOT:-/}"
    ;;
esac
