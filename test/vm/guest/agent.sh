#!/bin/sh
# The other end of `Machine.run`: reads lines of "<nonce> <command in base64>" from the second serial
# port, runs each command in a shell of its own, and ends its output with the nonce and the status.
# The output goes through a pipe: programs do not take the test for a terminal.
exec 0<>/dev/ttyS1 1>&0 2>&1 4>&0
stty raw -echo
printf '\036ready\036\n'
while read -r nonce command; do
  status=$({
    {
      sh -c "$(printf %s "$command" | base64 -d)" </dev/null 2>&1 3>&- 4>&-
      echo $? >&3
    } | cat >&4
  } 3>&1)
  printf '\036%s %s\036\n' "$nonce" "$status"
done
