#!/bin/sh
# Makes the user of statusd. It is started by hand the first time, since it needs settings;
# an upgrade restarts one that runs.
set -e
systemd-sysusers /usr/lib/sysusers.d/statusd.conf
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart statusd.service
fi
