#!/bin/sh
# One of this package's programs, run by the process that is there already: see programs.mjs. The programs
# themselves are in /opt/composefs/bin.
mkfifo "/run/programs/$$"
# In a shell of its own: it is the outputs of this one that the program writes to, at any time from here on.
(echo $$ >/run/programs/calls)
read -r status <"/run/programs/$$"
rm "/run/programs/$$"
exit "$status"
