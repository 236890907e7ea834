# What every script here begins with. What programs say is handed on with a word
# and a bar before each line, so that no text of theirs passes for another's.
set -u
set -f
umask 022
LC_ALL=C LANG=C LANGUAGE=C TZ=UTC TERM=dumb DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical
APT_LISTCHANGES_FRONTEND=none APT_LISTBUGS_FRONTEND=none UCF_FORCE_CONFFOLD=1
export LC_ALL LANG LANGUAGE TZ TERM DEBIAN_FRONTEND DEBIAN_PRIORITY APT_LISTCHANGES_FRONTEND APT_LISTBUGS_FRONTEND UCF_FORCE_CONFFOLD
unset COLUMNS DPKG_ADMINDIR DPKG_ROOT DPKG_FORCE POSIXLY_CORRECT APT_CONFIG GREP_OPTIONS
nl='
'
usual=" $(printf '\t')$nl"
IFS=$usual
say() { printf '%s|%s\n' "$1" "$2"; }
tag() { sed "s/^/$1|/"; }
# asked runs a program and says its exit code and all that it printed.
asked() {
	word=$1
	shift
	o=$("$@" 2>&1 </dev/null)
	say "$word-rc" "$?"
	lines "$word" "$o"
}
# lines says each line of a text, if there are any.
lines() { [ -z "$2" ] || printf '%s\n' "$2" | tag "$1"; }
lacking=
need() {
	for tool; do
		command -v "$tool" >/dev/null || { say missing "$tool"; lacking=1; }
	done
}
need apt-get apt-cache apt-mark apt-config dpkg dpkg-query dpkg-deb sha256sum awk sed df
[ -z "$lacking" ] || exit 3
native=$(dpkg --print-architecture) || exit 3
archives=/var/cache/apt/archives/ lists=/var/lib/apt/lists/
eval "$(apt-config shell archives Dir::Cache::archives/d lists Dir::State::lists/d)"
archives=${archives%/}
# full is the name as apt and apt-mark write it.
full() { case $2 in all | "$native") f=$1 ;; *) f=$1:$2 ;; esac; }
# file is the name that apt gives the package's file.
file() {
	v=$3 d=$1_
	while :; do
		case $v in
		*:*) d=$d${v%%:*}%3a v=${v#*:} ;;
		*) break ;;
		esac
	done
	d=${d}${v}_$2.deb
}
# apt_get asks nothing, and keeps the configuration files that are there.
apt_get() {
	apt-get -y -q --allow-downgrades --allow-change-held-packages -o APT::Install-Recommends=false -o APT::Install-Suggests=false \
		-o APT::Get::AutomaticRemove=false -o APT::Get::Purge=false -o APT::Color=0 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--no-force-confnew -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 2>&1 </dev/null
}
# holder says who has had the lock of dpkg, for how many seconds.
holder() {
	for l in lock-frontend lock; do
		i=$(stat -c %i "/var/lib/dpkg/$l" 2>/dev/null) || continue
		awk -v i="$i" '$2 != "->" { n = split($6, a, ":"); if (a[n] == i) { print $5; exit } }' /proc/locks
	done | while read -r pid; do
		[ -r "/proc/$pid/stat" ] || continue
		age=$(awk -v hz="$(getconf CLK_TCK 2>/dev/null || echo 100)" 'NR == 1 { up = $1; next } { sub(/^.*\) /, ""); print int(up - $20 / hz) }' /proc/uptime "/proc/$pid/stat")
		printf '%s %s ' "$pid" "${age:-0}"
		tr -cd 'A-Za-z0-9._-' <"/proc/$pid/comm"
		echo
		break
	done
}
# room says how many KiB are free where the stash is, or will be.
room() {
	p=$1
	while [ ! -d "$p" ]; do p=${p%/*}; [ -n "$p" ] || p=/; done
	df -Pk "$p" | awk 'NR == 2 { print $4 }'
}
# look says in which state dpkg and apt are.
look() {
	say user "$(id -u)"
	say native "$native"
	say apt "$(apt-get --version | head -n 1)"
	say kernel "$(uname -r)"
	asked audit dpkg --audit
	holder | tag lock
	say lists "$(find "$lists" -maxdepth 1 -name '*_Packages*' 2>/dev/null | wc -l)"
	say room "$(room "$1")"
}
