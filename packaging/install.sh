#!/bin/sh
# Installs neap from its unpacked tarball, for systems that take neither .deb nor .rpm.
#
#     ./install.sh                 into this system; starts and enables nothing
#     ./install.sh --root DIR      below DIR
#     ./install.sh --remove        takes the program away; configuration and journal stay
set -eu
files=$(cd "$(dirname "$0")" && pwd)/files
root='' remove=no
while [ $# -gt 0 ]; do
    case $1 in
        --root) root=${2:?--root takes a directory}; shift ;;
        --remove) remove=yes ;;
        *) echo "install.sh: unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done
if [ ! -d "$files" ]; then
    echo "install.sh: $files is not there: run it from the unpacked tarball" >&2
    exit 2
fi
live() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

if [ "$remove" = yes ]; then
    if live; then systemctl --quiet disable --now neap.service || true; fi
    (cd "$files" && find usr -type f) | while read -r file; do rm -f "$root/$file"; done
    rm -rf "$root/usr/share/doc/neap"
    if live; then systemctl daemon-reload; fi
    echo "Left where they are: $root/etc/neap, and the journal in $root/var/lib/neap."
    exit 0
fi

(cd "$files" && find . -type f) | while read -r file; do
    file=${file#./}
    to=$root/$file mode=644
    case $file in
        usr/bin/*) mode=755 ;;
        etc/*) if [ -e "$to" ]; then to=$to.new; fi ;;
    esac
    mkdir -p "$(dirname "$to")"
    # A program that runs cannot be written over, but replaced.
    install -m "$mode" "$files/$file" "$to.part"
    mv -f "$to.part" "$to"
done
systemd-sysusers ${root:+--root="$root"} neap.conf
if live; then systemctl daemon-reload; fi
echo "Installed. Next: $root/etc/neap/neap.toml, \`neap check\`, \`systemctl enable --now neap\`."
