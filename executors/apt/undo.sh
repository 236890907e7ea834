# The way back: DIR holds what was kept, and each package is four words, NAME ARCH
# VERSION SHA256. One without a version is to go.

# words prints the names, each as the function of its first argument makes it.
words() {
	how=$1
	shift
	while [ $# -ge 4 ]; do
		"$how" "$1" "$2"
		printf '%s ' "$f"
		shift 4
	done
}
bare() { f=$1; }
# known reads what the target and its repositories have of the packages.
known() {
	status=$(dpkg-query -W -f '${Package} ${Architecture} ${Version} ${db:Status-Abbrev} ${Essential}/${Protected}\n' -- $(words bare "$@") 2>/dev/null)
	# 1 is of names that it does not know.
	[ $? -le 1 ] || { echo "the database of dpkg cannot be read" >&2 && exit 3; }
	madison=$(apt-cache madison -- $(words full "$@") 2>/dev/null)
}
# at tells whether the package is at this version, and whole.
at() { printf '%s\n' "$status" | awk -v n="$1" -v a="$2" -v v="$3" '$1 == n && $2 == a && (v == "" || $3 == v && $4 ~ /^.i$/) { y = $4 !~ /^.[nc]/ } END { exit !y }'; }
# origin finds what to give apt for the version: its kept file, a repository, the
# file in apt's own cache.
origin() {
	full "$1" "$2"
	file "$1" "$2" "$3"
	from=
	if [ -n "$4" ] && [ -f "$stash/$d" ]; then
		if printf '%s  %s\n' "$4" "$stash/$d" | sha256sum -c --status 2>/dev/null; then from=$stash/$d && return; fi
		say spoilt "$1 $2 $3"
	fi
	if printf '%s\n' "$madison" | awk -F'|' -v n="$f" -v v="$3" '{ gsub(/ /, "", $1); gsub(/ /, "", $2) } $1 == n && $2 == v && $3 ~ / Packages *$/ { y = 1 } END { exit !y }'; then
		from=$f=$3
	elif [ "$(dpkg-deb -W --showformat='${Package} ${Architecture} ${Version}' "$archives/$d" 2>/dev/null)" = "$1 $2 $3" ]; then
		from=$archives/$d
	fi
}
# arrange makes of the packages what apt is told: what comes, what goes, and all
# that may change.
arrange() {
	come= go= allowed= todo= gone=
	while [ $# -ge 4 ]; do
		full "$1" "$2"
		if [ -z "$3" ]; then
			if at "$1" "$2" ""; then go="$go$f-$nl" allowed="$allowed$f -$nl" todo=1; fi
		elif at "$1" "$2" "$3"; then
			come="$come$f=$3$nl"
		else
			allowed="$allowed$f $3$nl" todo=1
			origin "$@"
			if [ -n "$from" ]; then come="$come$from$nl"; else say gone "$1 $2 $3"; gone=1; fi
		fi
		shift 4
	done
}
# simulate lets apt say what it would do, and judges it: nothing may change but
# what was arranged.
simulate() {
	IFS=$nl
	o=$(apt_get -s "$@" install -- $come $go)
	rc=$?
	IFS=$usual
	extra=$(printf '%s\n' "$o" | allowed=$allowed awk '
		BEGIN { n = split(ENVIRON["allowed"], a, "\n"); for (i = 1; i <= n; i++) ok[a[i]] = 1 }
		$1 == "Inst" { v = $0; if (!sub(/^[^(]*\(/, "", v)) v = "?"; sub(/ .*/, "", v); if (!(($2 " " v) in ok)) print "install " $2 " " v }
		$1 == "Remv" || $1 == "Purg" { if (!(($2 " -") in ok)) print "remove " $2 }')
}
# settle finds the transaction. What the patch added stays where something else
# needs it by now.
settle() {
	if [ -n "$go" ]; then simulate; else simulate --no-remove; fi
	if [ -z "$go" ] || [ "$rc" -eq 0 ] && [ -z "$extra" ]; then return; fi
	spare=$go all_extra=$extra all_o=$o all_rc=$rc go=
	simulate --no-remove
	if [ "$rc" -eq 0 ] && [ -z "$extra" ]; then
		say kept "$(printf %s "$spare" | tr '\n' ' ')"
	else
		go=$spare extra=$all_extra o=$all_o rc=$all_rc
	fi
}
