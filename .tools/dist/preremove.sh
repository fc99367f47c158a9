#!/bin/sh
# Stops statusd where the package is removed (dpkg passes "remove", rpm 0), not for an upgrade.
set -e
if [ -d /run/systemd/system ] && { [ "$1" = remove ] || [ "$1" = 0 ]; }; then
  systemctl disable --now statusd.service
fi
