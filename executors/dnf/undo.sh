#!/bin/sh
# What dnf.undo does on a target. Each verb writes one fact a line.
#
#   sh undo.sh VERB CHANGE FOLDER STASH HOLD MANIFEST KIND IDS GLOBS LOCKS [NAME ARCH FROM TO]...
#
#   ready    before the patch: what will it replace, and could that come back?
#   prepare  keep what it will replace
#   solve    after the patch: would the inverse transaction do exactly what it must?
#   undo     do it
#   now      which versions are there?
#
# STASH and HOLD are yes or no, MANIFEST is the digest of the list of what is kept
# or "-". IDS and GLOBS are words without blanks and quotes. LOCKS is the text of
# the script that places locks.
set -uf
umask 077
LC_ALL=C TZ=UTC
export LC_ALL TZ
verb=$1 change=$2 folder=$3 stash=$4 hold=$5 manifest=$6 kind=$7 ids=$8 globs=$9 locks=${10}
shift 10
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for t in delta now have will; do : >"$work/$t"; done
while [ $# -ge 4 ]; do
	echo "$1 $2 $3 $4"
	shift 4
done >"$work/delta"

# end says why it ends, as the last line.
end() {
	echo "backout: $2"
	exit "$1"
}

# said shows the end of a tool's words.
said() { grep -v '^[[:space:]=]*$' "$1" | tail -n 12 | sed 's/^[[:space:]]*/said /'; }

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

# front runs the target's own dnf, without questions. One that is at work is waited
# for. It is not called dnf: which_dnf would find it.
front() {
	case $flavour in
	dnf5) dnf5 -y "$@" ;;
	yum3) yum -y "$@" ;;
	*) dnf -y --setopt=exit_on_lock=0 "$@" ;;
	esac </dev/null 2>&1
}

installed() {
	rpm -qa --qf '%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' >"$work/all" || end 1 "rpm -qa does not answer"
	grep -v '^gpg-pubkey ' "$work/all" >"$work/now" # keys are no packages
}

# wanted prints those installed now whose names the patterns or the delta name.
wanted() {
	while read -r n a e; do
		for g in $globs; do
			# shellcheck disable=SC2254 # it is a pattern
			case $n in $g) echo "$n $a $e" && break ;; esac
		done
	done <"$work/now"
}

# solved reads the transaction out of what dnf 4 and yum say, as "in|out NAME ARCH
# EVR". dnf 4 does not name what a downgrade replaces.
solved() {
	awk '$1 == "--->" && $2 == "Package" && /will be/ {
		dot = match($3, /\.[^.]*$/); n = substr($3, 1, dot - 1); a = substr($3, dot + 1)
		e = $4; if (e !~ /^[0-9]+:/) e = "0:" e
		way = "odd"; mode = $0; sub(/^.*will be /, "", mode)
		if (mode ~ /^(upgraded|updated|downgraded|erased|removed|obsoleted)/) way = "out"
		if (mode ~ /^(an upgrade|an update|a downgrade|installed|reinstalled|obsoleting)/) way = "in"
		print way, n, a, e
	}' "$1"
}

# stored reads the transaction out of what dnf5 stores.
stored() {
	[ -e "$1" ] || return 0
	# shellcheck disable=SC2020 # characters are meant
	tr '{},' '\n\n\n' <"$1" | awk '
	function text(s) { sub(/^[^:]*:[ \t]*"/, "", s); sub(/"[^"]*$/, "", s); return s }
	/"action"[ \t]*:/ { act = text($0) }
	/"nevra"[ \t]*:/ { nevra = text($0) }
	act != "" && nevra != "" {
		dot = match(nevra, /\.[^.]*$/); a = substr(nevra, dot + 1); s = substr(nevra, 1, dot - 1)
		d = match(s, /-[^-]*-[^-]*$/); n = substr(s, 1, d - 1); e = substr(s, d + 1)
		if (e !~ /^[0-9]+:/) e = "0:" e
		way = "odd"
		if (act ~ /^(Install|Upgrade|Downgrade|Reinstall)$/) way = "in"
		if (act ~ /^(Remove|Replaced)$/) way = "out"
		print way, n, a, e
		act = nevra = ""
	}'
}

# pending says what the patch would do now.
pending() {
	# shellcheck disable=SC2086 # ids are words
	case $kind in
	packages) set -- install $ids ;;
	advisory)
		set -- upgrade
		for i in $ids; do
			case $flavour in dnf5) set -- "$@" "--advisories=$i" ;; *) set -- "$@" "--advisory=$i" ;; esac
		done
		;;
	*) case $flavour in yum3) set -- update ;; *) set -- upgrade ;; esac ;;
	esac
	case $flavour in
	dnf5)
		front --refresh --store="$work/p" "$@" >"$work/out"
		rc=$?
		stored "$work/p/transaction.json" >"$work/pending"
		;;
	yum3)
		yum --assumeno "$@" </dev/null >"$work/out" 2>&1
		rc=$?
		solved "$work/out" >"$work/pending"
		;;
	*)
		dnf -v --refresh --assumeno --setopt=exit_on_lock=0 "$@" </dev/null >"$work/out" 2>&1
		rc=$?
		solved "$work/out" >"$work/pending"
		;;
	esac
	refresh=''
	# The exit code says nothing: it is 1 for a transaction that was declined.
	if [ -s "$work/pending" ] && grep -Eiq 'operation aborted|dependencies resolved|exiting on user|stored' "$work/out"; then
		sed 's/^/pending /' "$work/pending"
		[ -z "$globs" ] && sed -n 's/^out //p' "$work/pending" >"$work/replaced"
	elif grep -Eiq 'nothing to do|no packages marked' "$work/out" && ! grep -Eiq '^(error|no match)' "$work/out"; then
		echo "nothing pending"
	else
		echo "unsolved pending $rc"
		said "$work/out"
	fi
}

# candidates are the installed packages that the patch will replace.
candidates() {
	: >"$work/replaced"
	if [ -n "$globs" ]; then wanted >"$work/replaced"; else pending; fi
	sort -u -o "$work/replaced" "$work/replaced"
	sed 's/^/replaced /' "$work/replaced"
}

# nevras makes one word of each line "NAME ARCH EVR".
nevras() { awk '{ print $1 "-" $3 "." $2 }' "$@"; }

# refresh is for the first question to the repositories.
refresh=--refresh

# offered says which of the lines the repositories have now. It exits with 0 and
# says nothing when there is none: what it says counts.
offered() {
	[ -s "$1" ] || return 0
	form='%{name} %{arch} %{epoch}:%{version}-%{release}'
	# shellcheck disable=SC2046,SC2086 # names have no blanks
	case $flavour in
	dnf5) dnf5 -q repoquery $refresh --qf "$form\\n" $(nevras "$1") ;;
	yum3) repoquery -q --show-duplicates --qf "$form" $(nevras "$1") ;;
	*) dnf -q $refresh repoquery --qf "$form" $(nevras "$1") ;;
	esac </dev/null >"$work/offered" 2>"$work/err" || {
		echo "unsolved offered $?"
		said "$work/err"
	}
	sort -u "$work/offered" | comm -12 - "$1" | sed 's/^/offered /'
}

# cached says which of them dnf has kept of its own downloads.
cached() {
	while read -r n a e; do
		for c in /var/cache/dnf /var/cache/libdnf5 /var/cache/yum; do
			[ -d "$c" ] && [ -n "$(find "$c" -type f -name "$n-${e#*:}.$a.rpm" -print -quit)" ] && echo "cached $n $a $e" && break
		done
	done <"$work/replaced"
}

digest() { sha256sum <"$1" | cut -d ' ' -f 1; }

# kept verifies what is kept, into have: "NAME ARCH EVR PATH".
kept() {
	[ "$manifest" != - ] || return 0
	if ! [ -f "$folder/manifest" ] || [ "$(digest "$folder/manifest")" != "$manifest" ]; then
		echo "broken the list $folder/manifest"
		return
	fi
	while read -r n a e sum file; do
		echo "listed $n $a $e"
		[ "$sum" != - ] || continue
		if [ -f "$folder/$file" ] && [ "$(digest "$folder/$file")" = "$sum" ]; then
			echo "$n $a $e $folder/$file" >>"$work/have"
			echo "kept $n $a $e"
		else
			echo "broken $file"
		fi
	done <"$folder/manifest"
}

tools() {
	case $flavour in
	none) echo "tool none" && exit 0 ;;
	dnf5) echo "tool dnf5 $(dnf5 --version 2>/dev/null | grep -o '[0-9][0-9.]*' | head -n 1)" ;;
	yum3) echo "tool yum $(yum --version 2>/dev/null | head -n 1)" ;;
	*) echo "tool dnf $(dnf --version 2>/dev/null | grep -o '^[0-9][0-9.]*' | head -n 1)" ;;
	esac
	[ "$(id -u)" = 0 ] || echo "user $(id -un)"
	case $flavour in dnf4) dnf -q -C history list ;; yum3) yum -q -C history list ;; dnf5) dnf5 -q history list ;; esac </dev/null >"$work/out" 2>&1 || {
		echo "history unreadable"
		said "$work/out"
	}
	if [ "$stash" = yes ] && [ "$manifest" = - ]; then
		case $flavour in
		dnf4) dnf -q -C download --help ;;
		dnf5) dnf5 download --help ;;
		yum3) command -v yumdownloader ;;
		esac </dev/null >/dev/null 2>&1 || echo "missing download"
	fi
	case $flavour in
	yum3) command -v repoquery >/dev/null || echo "missing repoquery" ;;
	dnf5) dnf5 "do" --help </dev/null >/dev/null 2>&1 || echo "missing do" ;;
	esac
	if [ "$hold" = yes ]; then
		sh -c "$locks" sh look dnf "$change" </dev/null >"$work/out" 2>&1 || {
			echo "missing locks"
			said "$work/out"
		}
	fi
}

# todo compares what is there with what must be: "in" comes, "out" goes, "swap" is
# what goes with what comes. After an undo that was killed both versions are there:
# the new one has to go, and "dnf remove --duplicates" would let the old one go.
todo() {
	installed
	awk -v now="$work/now" '
	FILENAME == now { has[$1 " " $2 " " $3] = 1; next }
	{
		from = $1 " " $2 " " $3; to = $1 " " $2 " " $4
		if ($3 != "-" && !(from in has)) print "in", from
		if ($4 != "-" && (to in has)) print (($3 == "-" || (from in has)) ? "out" : "swap"), to
	}' "$work/now" "$work/delta" >"$work/todo"
}

# transaction runs the inverse, or tests it. It names each version: what is not
# found is missing in the answer, and compared must see it, since the shell of dnf
# goes on without.
transaction() {
	ins='' downs='' outs=''
	awk '$1 == "swap" { print $2, $3 }' "$work/todo" >"$work/swaps"
	while read -r way n a e; do
		path=$(awk -v k="$n $a $e" '$1 " " $2 " " $3 == k { print $4; exit }' "$work/have")
		case $way in
		in)
			if [ "$flavour" = yum3 ] && grep -qxF "$n $a" "$work/swaps"; then
				downs="$downs ${path:-$n-$e.$a}"
			else
				ins="$ins ${path:-$n-$e.$a}"
			fi
			;;
		out) outs="$outs $n-$e.$a" ;;
		esac
	done <"$work/todo"
	opts='--setopt=clean_requirements_on_remove=0 --setopt=install_weak_deps=0'
	[ "$1" = real ] || opts="$opts --setopt=tsflags=test"
	case $flavour in
	dnf5)
		# shellcheck disable=SC2086
		set -- "$1" "do" --type=package ${ins:+--action=install $ins} ${outs:+--action=remove $outs}
		what=$1
		shift
		if [ "$what" = test ]; then
			# It is stored to be compared, but not replayed: releases of dnf5 fetch
			# anew, and from elsewhere, what they replay.
			# shellcheck disable=SC2086
			front $opts --store="$work/t" "$@" >"$work/out"
			stored "$work/t/transaction.json" >"$work/will"
		fi
		# shellcheck disable=SC2086
		front $opts "$@"
		;;
	*)
		{
			# Packages by path must come first and all at once.
			[ -z "$ins" ] || echo "install$ins"
			[ -z "$downs" ] || echo "downgrade$downs"
			[ -z "$outs" ] || echo "remove$outs"
			echo run
		} >"$work/shell"
		if [ "$1" = real ]; then
			# shellcheck disable=SC2086
			front $opts shell "$work/shell"
		else
			case $flavour in dnf4) opts="-v $opts" ;; esac
			# shellcheck disable=SC2086
			front $opts shell "$work/shell" >"$work/out"
			rc=$?
			solved "$work/out" >"$work/will"
			return "$rc"
		fi
		;;
	esac
}

# compared says where the transaction that was solved is not the one that is wanted.
compared() {
	awk -v todo="$work/todo" '
	FILENAME == todo { want[$0] = 1; if ($1 == "swap") may["out " $2 " " $3 " " $4] = 1; next }
	{ will[$0] = 1; if (!($0 in want) && !($0 in may)) print "extra", $0 }
	$1 == "in" { comes[$2] = 1 }
	END {
		for (w in want) {
			split(w, word, " ")
			# One that changes its architecture is replaced, and not named.
			if (word[1] == "swap" || (w in will) || (word[1] == "out" && (word[2] in comes))) continue
			print "lacking", w
		}
	}' "$work/todo" "$work/will" | sort
}

# solve tests the inverse transaction; it returns 1 when it is not exactly that.
solve() {
	if ! [ -s "$work/todo" ]; then
		echo "nothing to undo"
		return 0
	fi
	transaction test >"$work/test"
	rc=$?
	# Where nothing at all was solved, what the tool says is the reason.
	: >"$work/compared"
	[ ! -s "$work/will" ] || compared >"$work/compared"
	cat "$work/compared"
	# The test itself: conflicts of files, space. The exit code of a shell of dnf is 0
	# whatever happened in it.
	if [ -s "$work/compared" ]; then
		cat "$work/test" >>"$work/out"
		said "$work/out"
		return 1
	fi
	cat "$work/test" >>"$work/out"
	if ! [ -s "$work/will" ] || { ! grep -iq 'transaction test succeeded' "$work/out" && ! { [ "$flavour" = dnf5 ] && [ "$rc" = 0 ]; }; }; then
		echo "unsolved test $rc"
		said "$work/out"
		return 1
	fi
	echo "solved"
}

# versions prints what is installed of the delta's packages.
versions() {
	installed
	awk -v delta="$work/delta" '
	FILENAME == delta { of[$1 " " $2] = 1; next }
	($1 " " $2) in of { print "now", $0 }' "$work/delta" "$work/now"
}

# configs prints what stands beside the configuration files of the delta's packages,
# each with what tells it from one of the same name: its time alone has only seconds.
configs() {
	cut -d ' ' -f 1 "$work/delta" | sort -u | tr '\n' '\0' | xargs -0 -r rpm -qc 2>/dev/null | grep '^/' | while read -r f; do
		for s in rpmnew rpmsave rpmorig; do [ ! -e "$f.$s" ] || echo "$f.$s $(stat -c %i.%Z "$f.$s")"; done
	done | sort -u
}

lock_args() { awk '$4 != "-" && $4 != $3 { print $1; print $4; print $2 }' "$work/delta"; }

# hold_verb runs the script of locks on the bad versions.
hold_verb() {
	# shellcheck disable=SC2046 # names have no blanks
	sh -c "$locks" sh "$1" dnf "$change" $(lock_args) </dev/null
}

# reboot says whether one is needed, as far as the target knows.
reboot() {
	case $flavour in
	dnf4) dnf -q -C needs-restarting -r ;;
	dnf5) dnf5 -q -C needs-restarting ;;
	yum3) command -v needs-restarting >/dev/null && needs-restarting -r ;;
	esac </dev/null >"$work/out" 2>&1
	rc=$?
	case $rc in
	0) echo "reboot no" ;;
	1) if grep -iq 'reboot' "$work/out"; then echo "reboot yes"; else echo "reboot unknown"; fi ;;
	*) echo "reboot unknown" ;;
	esac
}

kept_as() { echo "$1-$(echo "$3" | tr : _).$2.rpm"; }

# fetch copies what is installed into the folder, from the cache or a repository, and
# proves by the header's digest that it is the same package.
fetch() {
	tag=SHA256HEADER
	rpm --querytags | grep -qx "$tag" || tag=SHA1HEADER
	form="%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{$tag}"
	rpm -qa --qf "$form\n" | sort >"$work/headers"
	mkdir "$work/rpms" || return 1
	while read -r n a e; do
		f=$n-${e#*:}.$a.rpm
		[ ! -f "$folder/$(kept_as "$n" "$a" "$e")" ] || cp -p "$folder/$(kept_as "$n" "$a" "$e")" "$work/rpms/$f"
		for c in /var/cache/dnf /var/cache/libdnf5 /var/cache/yum; do
			[ ! -e "$work/rpms/$f" ] || break
			[ -d "$c" ] || continue
			find "$c" -type f -name "$f" -exec cp -p {} "$work/rpms/$f" \; -quit 2>/dev/null
		done
		# A damaged copy is fetched again.
		rpm -K --nosignature "$work/rpms/$f" >/dev/null 2>&1 || rm -f "$work/rpms/$f"
		[ -e "$work/rpms/$f" ] || echo "$n $a $e" >>"$work/lack"
	done <"$work/replaced"
	if [ -s "$work/lack" ]; then
		# shellcheck disable=SC2046
		case $flavour in
		yum3) yumdownloader --destdir "$work/rpms" $(nevras "$work/lack") </dev/null ;;
		dnf5) front download --destdir="$work/rpms" $(nevras "$work/lack") ;;
		*) front download --destdir "$work/rpms" $(nevras "$work/lack") ;;
		esac || end 12 "the packages that are installed cannot be had: $(nevras "$work/lack" | head -n 5 | tr '\n' ' ')"
	fi
	find "$work/rpms" -type f -name '*.rpm' >"$work/files"
	while read -r f; do
		rpm -K --nosignature "$f" >/dev/null 2>&1 || end 12 "${f##*/} is damaged: rpm -K says no"
		echo "$(rpm -qp --nosignature --qf "$form" "$f" 2>/dev/null) $f"
	done <"$work/files" >"$work/got"
}

# keep writes a file of the folder whole or not at all.
keep() {
	{ cp "$1" "$folder/.new" && sync "$folder/.new" && mv -f "$folder/.new" "$folder/$2"; } || end 12 "$folder cannot be written"
}

prepare() {
	candidates >"$work/said"
	if grep -Eq '^(unsolved|nothing)' "$work/said"; then
		sed 's/^said //' "$work/said"
		end 11 "what the patch will replace is not known"
	fi
	{ mkdir -p "$folder" && chmod 700 /var/lib/backout/stash "${folder%/*}" "$folder"; } || end 1 "$folder cannot be made"
	: >"$work/manifest"
	if [ "$stash" = yes ]; then
		fetch || end 12 "the packages could not be fetched"
		while read -r n a e; do
			header=$(awk -v k="$n $a $e" '$1 " " $2 " " $3 == k { print $4; exit }' "$work/headers")
			file=$(awk -v k="$n $a $e $header" '$1 " " $2 " " $3 " " $4 == k { print $5; exit }' "$work/got")
			if [ -z "$header" ] || [ "$header" = "(none)" ] || [ -z "$file" ]; then
				end 12 "what the repositories have as $n-$e.$a is not the package that is installed"
			fi
			name=$(kept_as "$n" "$a" "$e")
			keep "$file" "$name"
			echo "$n $a $e $(digest "$folder/$name") $name" >>"$work/manifest"
		done <"$work/replaced"
	else
		sed 's/$/ - -/' "$work/replaced" >"$work/manifest"
	fi
	keep "$work/manifest" manifest
	# What an earlier preparation has kept and this one does not need.
	find "$folder" -type f ! -name manifest | while read -r f; do
		grep -q " ${f##*/}\$" "$folder/manifest" || rm -f "$f"
	done
	echo "manifest $(digest "$folder/manifest") $(grep -c . "$folder/manifest")"
}

undo() {
	kept | grep '^broken' && echo "what is kept is not whole: the repositories are asked for the rest"
	todo
	configs >"$work/configs"
	if [ -s "$work/todo" ]; then
		solve || end 10 "the packages cannot go back alone: nothing was changed"
		transaction real
		rc=$?
		todo
		if [ -s "$work/todo" ]; then
			sed 's/^/left /' "$work/todo"
			end 13 "dnf ended with exit code $rc, and not all packages are back"
		fi
	fi
	if [ "$hold" = yes ]; then
		hold_verb place || end 14 "the packages are back, but the bad versions are not locked"
	fi
	configs | comm -13 "$work/configs" - | sed 's/^/beside /; s/ [0-9.]*$//'
	reboot
	versions
}

flavour=$(which_dnf)
case $verb in
ready)
	tools
	installed
	if [ "$manifest" = - ]; then
		candidates
		offered "$work/replaced"
		[ "$stash" = no ] || cached
	else
		kept >"$work/kept"
		cat "$work/kept"
		sed -n 's/^listed //p' "$work/kept" | sort -u >"$work/replaced"
		[ "$stash" = yes ] || offered "$work/replaced"
	fi
	;;
prepare)
	installed
	prepare
	;;
solve)
	tools
	kept
	versions
	todo
	solve
	;;
undo) undo ;;
now)
	versions
	if [ "$hold" = yes ] && [ -n "$(lock_args)" ]; then hold_verb look || echo "missing locks"; fi
	;;
cleanup)
	rm -rf "$folder" || end 1 "$folder cannot be removed"
	rmdir "${folder%/*}" 2>/dev/null
	;;
*) end 2 "unknown verb $verb" ;;
esac
echo "end"
exit 0
