#!/bin/sh
# The other end of `Machine.run`: reads lines of "<nonce> <command in base64>" from the second serial
# port, runs each command in a shell of its own, and ends its output with the nonce and the status.
exec 0<>/dev/ttyS1 1>&0 2>&1
stty raw -echo
printf '\036ready\036\n'
while read -r nonce command; do
  sh -c "$(printf %s "$command" | base64 -d)" 0</dev/null
  printf '\036%s %s\036\n' "$nonce" "$?"
done
