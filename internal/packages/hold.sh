#!/bin/sh
# Locks of package managers on the versions of a bad patch.
#
#   sh hold.sh place|look|release FRONT CHANGE [NAME VERSION ARCH]...
#
# The lists of dnf, dnf5 and yum are files, which are written here and read back
# through the manager: its own command needs metadata of every repository, knows
# only versions that a repository has now, and deletes whatever looks alike.
set -u
umask 022
LC_ALL=C
export LC_ALL
verb=$1 front=$2 change=$3
shift 3
dir=/var/lib/backout/holds
record=$dir/$change
nl='
'

fail() {
	echo "backout: $1" >&2
	exit "${2:-1}"
}

# which_dnf says which dnf the target's command leads to.
which_dnf() {
	for tool in dnf dnf5 yum; do
		p=$(command -v "$tool") || continue
		p=$(readlink -f "$p") || continue
		case ${p##*/} in
		dnf5) echo dnf5 && return ;;
		dnf*) echo dnf4 && return ;;
		yum*) echo yum3 && return ;;
		esac
	done
	echo none
}

like() { grep -Eq "^ID(_LIKE)?=.*$1" /etc/os-release 2>/dev/null; }

case $front in
any) if like '(debian|ubuntu)'; then front=apt; else front=rpm; fi ;;
esac
case $front in
rpm) if like suse && command -v zypper >/dev/null; then front=zypper; else front=$(which_dnf); fi ;;
dnf) front=$(which_dnf) ;;
esac

# setting reads one line of an ini file.
setting() { sed -n "s/^[[:space:]]*$2[[:space:]]*=[[:space:]]*//p" "$1" 2>/dev/null | tail -n 1 | tr -d '[:space:]'; }

# need_plugin finds the list of the versionlock plugin. That its configuration is
# there says nothing: it stays when the plugin is removed.
need_plugin() {
	case $(setting "$1" enabled) in
	0 | no | false | off) fail "the versionlock plugin is switched off in $1: set enabled = 1" 3 ;;
	esac
	list=$(setting "$1" locklist)
	[ -n "$list" ] || list=$2
}

# toml prints the excludes of dnf5's list, "NAME != EVR", after it has added or
# removed one (op, name, evr). Entries of one name are alternatives to each other,
# the conditions within one must all be true: a second entry of a name would let
# everything through. So an exclude joins the entry that is there, and one that
# locks otherwise is in the way.
toml() {
	awk -v op="$1" -v n="${2:-}" -v v="${3:-}" -v change="$change" -v show="${4:-}" '
	function value(s) { sub(/^[^=]*=[ \t]*/, "", s); sub(/[ \t]*$/, "", s); gsub(/^"|"$/, "", s); return s }
	function condition() { return "[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"!=\"\nvalue = \"" v "\"\n" }
	function endcond() {
		if (!incond) return
		incond = 0
		if (key == "evr" && cmp == "!=") {
			if (show) print name " != " val
			if (op == "del" && name == n && val == v) { gone = 1; return }
		} else other = 1
		conds = conds cond; count++
	}
	function endblock() {
		endcond()
		if (!inblock) { text = text head; head = ""; return }
		inblock = 0
		if (op == "add" && name == n) {
			if (other || !count) { bad = 1; exit 4 }
			conds = conds condition(); done = 1
		}
		if (gone && !count) return
		text = text head conds
	}
	function start() { inblock = 1; head = ""; conds = ""; cond = ""; count = 0; other = 0; gone = 0; name = "" }
	/^[ \t]*conditions[ \t]*=/ { bad = 1; exit 5 }
	/^[ \t]*\[\[packages\]\]/ { endblock(); start(); head = $0 "\n"; next }
	/^[ \t]*\[\[packages\.conditions\]\]/ { endcond(); incond = 1; key = cmp = val = ""; cond = $0 "\n"; next }
	incond {
		cond = cond $0 "\n"
		if ($0 ~ /^[ \t]*key[ \t]*=/) key = value($0)
		if ($0 ~ /^[ \t]*comparator[ \t]*=/) { cmp = $0; sub(/^[^"]*"/, "", cmp); sub(/".*$/, "", cmp) }
		if ($0 ~ /^[ \t]*value[ \t]*=/) val = value($0)
		next
	}
	{ head = head $0 "\n"; if (inblock && $0 ~ /^[ \t]*name[ \t]*=/) name = value($0) }
	END {
		if (bad) exit
		endblock()
		if (bad) exit
		if (op == "add" && !done) {
			if (text == "") text = "version = \"1.0\"\n"
			text = text "\n[[packages]]\nname = \"" n "\"\ncomment = \"backout " change "\"\n" condition()
		}
		if (!show) printf "%s", text
	}' "$list"
}

# rewrite replaces the list by what the command writes, whole or not at all.
rewrite() {
	# One that is a link stays one.
	[ ! -L "$list" ] || list=$(readlink -f "$list")
	tmp=$list.backout.$$
	"$@" >"$tmp" || { rc=$?; rm -f "$tmp"; return "$rc"; }
	if [ -e "$list" ]; then chmod --reference="$list" "$tmp" 2>/dev/null; else chmod 644 "$tmp"; fi
	sync "$tmp" 2>/dev/null
	mv -f "$tmp" "$list"
}

# shellcheck disable=SC2317 # rewrite calls it
plus_line() { { [ ! -e "$list" ] || awk 1 "$list"; } && echo "$1"; }
# shellcheck disable=SC2317
minus_line() { awk -v line="$1" '{ t = $0; gsub(/^[ \t]+|[ \t\r]+$/, "", t) } t != line' "$list"; }

# use makes lock, locks, add and del those of one front.
use() {
	case $1 in
	dnf4)
		need_plugin /etc/dnf/plugins/versionlock.conf /etc/dnf/plugins/versionlock.list
		lock() { echo "!$1-$2.*"; }
		locks() {
			# Without its list the plugin says no, but it is there.
			if [ -e "$list" ]; then set -- list; else set -- --help; fi
			all=$(dnf -q -y -C --disablerepo='*' versionlock "$1") ||
				fail "dnf versionlock does not answer: install python3-dnf-plugin-versionlock (of Debian: dnf-plugins-core)" 3
			[ "$1" != list ] || echo "$all"
		}
		add() { rewrite plus_line "$(lock "$@")"; }
		del() { rewrite minus_line "$(lock "$@")"; }
		;;
	yum3)
		need_plugin /etc/yum/pluginconf.d/versionlock.conf /etc/yum/pluginconf.d/versionlock.list
		lock() { echo "!${2%%:*}:$1-${2#*:}.*"; }
		locks() { yum -q -y -C --disablerepo='*' versionlock list || fail "yum versionlock does not answer: install yum-plugin-versionlock" 3; }
		add() { rewrite plus_line "$(lock "$@")"; }
		del() { rewrite minus_line "$(lock "$@")"; }
		;;
	dnf5)
		list=/etc/dnf/versionlock.toml
		lock() { echo "$1 != $2"; }
		locks() {
			[ -e "$list" ] || return 0
			toml show "" "" yes || fail "$list is not in the form that can be read here" 3
		}
		add() {
			[ -e "$list" ] || : >"$list"
			rewrite toml add "$1" "$2" || fail "$list has another lock on $1: remove it, or let it exclude $2 itself" 3
		}
		del() { rewrite toml del "$1" "$2"; }
		;;
	zypper)
		command -v zypper >/dev/null || fail "zypper is not there" 3
		ZYPP_LOCK_TIMEOUT=${ZYPP_LOCK_TIMEOUT:-600}
		export ZYPP_LOCK_TIMEOUT
		lock() { echo "$1 == $2"; }
		locks() {
			all=$(zypper --non-interactive --no-refresh --no-color locks) || fail "zypper locks does not answer" 3
			echo "$all" | awk -F'|' '$1 ~ /^ *[0-9]+ *$/ { t = $2; gsub(/^ +| +$/, "", t); print t }'
		}
		add() { zypper --non-interactive --no-refresh addlock -- "$(lock "$@")"; }
		del() { zypper --non-interactive --no-refresh removelock -- "$(lock "$@")"; }
		;;
	apt)
		command -v apt-mark >/dev/null || fail "apt-mark is not there: install apt" 3
		native=$(dpkg --print-architecture)
		lock() { case $3 in all | "$native") echo "$1" ;; *) echo "$1:$3" ;; esac; }
		locks() { apt-mark showhold || fail "apt-mark showhold does not answer" 3; }
		add() { apt-mark hold -- "$(lock "$@")"; }
		del() { apt-mark unhold -- "$(lock "$@")"; }
		;;
	*) fail "there is no dnf, yum or zypper whose locks could be used" 3 ;;
	esac
	front=$1
}

has() { case $nl$all_locks$nl in *"$nl$1$nl"*) return 0 ;; esac; return 1; }
noted() { [ -e "$1" ] && grep -qxF -- "$2" "$1"; }
# elsewhere tells whether another change has placed the lock too.
elsewhere() {
	for other in "$dir"/*; do
		[ "$other" != "$record" ] && noted "$other" "$1" && return 0
	done
	return 1
}
read_locks() { all_locks=$(locks) || exit $?; }

# say prints what has become of one lock.
say() {
	if ! has "$(lock "$@")"; then state=free
	elif noted "$record" "$front $*"; then state=ours
	else state=before; fi
	echo "backout-lock $state $(lock "$@")"
}

# release releases what the record has of the front.
release() {
	read_locks
	while read -r f n v a; do
		[ "$f" = "$front" ] || continue
		l=$(lock "$n" "$v" "$a")
		if has "$l" && ! elsewhere "$f $n $v $a"; then
			del "$n" "$v" "$a" >&2 </dev/null || fail "$l could not be released"
		fi
		echo "backout: released $l"
	done <"$record"
	read_locks
	while read -r f n v a; do
		[ "$f" = "$front" ] && has "$(lock "$n" "$v" "$a")" && ! elsewhere "$f $n $v $a" && fail "$(lock "$n" "$v" "$a") is still locked"
	done <"$record"
}

if [ "$verb" != release ]; then
	use "$front"
	read_locks
fi
case $verb in
look)
	while [ $# -ge 3 ]; do
		say "$1" "$2" "$3"
		shift 3
	done
	;;
place)
	{ mkdir -p "$dir" && chmod 700 "$dir"; } || fail "$dir cannot be made"
	i=$# missing=
	while [ "$i" -ge 3 ]; do
		n=$1 v=$2 a=$3
		shift 3
		# One that somebody else had placed before is not ours to release. It is
		# recorded before it is placed, so a kill between leaves none that nobody
		# would release.
		if ! has "$(lock "$n" "$v" "$a")" || elsewhere "$front $n $v $a"; then
			noted "$record" "$front $n $v $a" || echo "$front $n $v $a" >>"$record" || fail "$record cannot be written"
		fi
		if ! has "$(lock "$n" "$v" "$a")"; then
			sync "$record" 2>/dev/null
			add "$n" "$v" "$a" >&2 || fail "$(lock "$n" "$v" "$a") could not be locked"
			all_locks=$all_locks$nl$(lock "$n" "$v" "$a")
		fi
		set -- "$@" "$n" "$v" "$a"
		i=$((i - 3))
	done
	read_locks
	while [ $# -ge 3 ]; do
		has "$(lock "$1" "$2" "$3")" || missing="$missing $(lock "$1" "$2" "$3")"
		say "$1" "$2" "$3"
		shift 3
	done
	[ -z "$missing" ] || fail "not locked, although it was asked for:$missing"
	;;
release)
	# shellcheck disable=SC2013 # they are words
	for f in $(cut -d ' ' -f 1 "$record" 2>/dev/null | sort -u); do
		use "$f"
		release
	done
	rm -f "$record"
	;;
*) fail "unknown verb $verb" 2 ;;
esac
exit 0
