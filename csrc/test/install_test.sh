#!/bin/sh
# Installs a build into a directory of its own and builds a C program with what
# pkg-config says: install_test.sh BUILD SOURCE CC
set -e
command -v pkg-config >/dev/null || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cmake --install "$1" --prefix "$dir/usr" >/dev/null
PKG_CONFIG_PATH=$(dirname "$(find "$dir" -name graft.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # words are meant
"$3" -std=c11 -Wall -Werror "$2" -o "$dir/program" $(pkg-config --cflags --libs graft)
"$dir/program" "$(pkg-config --modversion graft)"
