#!/bin/sh
# Builds the accelerator into prebuilt/linux-x64/libblockhash.so. Needs a C compiler, nothing else;
# nobody who installs the package runs this.
#
#   build.sh                builds, or fails
#   build.sh --if-possible  builds, or says why not and succeeds: hashing works without it
set -eu
cd "$(dirname "$0")"

leave() {
  echo "native: not built: $1; crypto.hash will hash the blocks" >&2
  [ "$mode" = "--if-possible" ] && exit 0
  exit 1
}

mode=${1:-}
cc=${CC:-cc}
out=prebuilt/linux-x64/libblockhash.so

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || leave "no accelerator for $(uname -s) $(uname -m)"
command -v "$cc" > /dev/null || leave "no C compiler \"$cc\""
[ -e "$out" ] && [ -z "$(find . -name '*.[ch]' -newer "$out")" ] && [ "$out" -nt build.sh ] && exit 0

# -ffreestanding -nostdlib: needs no library, so that one file serves glibc and musl.
# -fno-tree-loop-distribute-patterns: no calls of memset made out of loops.
# The rest: the same bytes from the same compiler wherever the directory lies.
mkdir -p "$(dirname "$out")"
"$cc" -std=c11 -O3 -Wall -Wextra -Werror -fPIC -fvisibility=hidden \
  -ffreestanding -fno-tree-loop-distribute-patterns -fno-stack-protector -g0 -ffile-prefix-map="$PWD"=. \
  -shared -nostdlib -Wl,--build-id=none -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -s \
  -o "$out.new" ./*.c
mv "$out.new" "$out"
