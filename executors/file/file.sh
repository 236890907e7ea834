# Keeps files and puts them back: VERB CHANGE ID DIGEST PATTERN...
#
# The list names what is kept, a line each: kind, mode, owner, digest, number of the
# copy, real path, path. DIGEST is that of the list. What is said has a word and a
# bar before it.
set -u
set -f
umask 077
LC_ALL=C TZ=UTC
export LC_ALL TZ
unset POSIXLY_CORRECT
verb=$1 id=$3 change=$2 want=$4
shift 4
nl='
'
tab=$(printf '\t')
usual=" $tab$nl"
IFS=$usual
say() { printf '%s|' "$1" && printf %s "$2" | tr '\000-\037\177' '?' && echo; }
lacking=
for tool in cp mv mktemp sha256sum stat df readlink awk cut chown chmod; do
	command -v "$tool" >/dev/null || { say missing "$tool"; lacking=1; }
done
[ -z "$lacking" ] || exit 3
fail() {
	say failed "$1"
	exit 4
}
uid=$(id -u)
base=/var/lib/backout
[ "$uid" = 0 ] || base=${HOME:?}/.local/state/backout
dir=$base/stash/$change/$id
list=$dir/list

# folder sets at to the folder of a path.
folder() { at=${1%/*} at=${at:-/}; }
# real sets it to where the folder of a path really is.
real() {
	folder "$1"
	it=$(cd -P -- "$at" 2>/dev/null && pwd -P)
}
# state sets st to what there is at a path.
state() {
	if [ -L "$1" ]; then
		st="link - $(stat -c %u:%g -- "$1") $(readlink -- "$1" | sha256sum | cut -c1-64)"
	elif [ -f "$1" ]; then
		st="file $(stat -c '%a %u:%g' -- "$1") $(sha256sum <"$1" 2>/dev/null | cut -c1-64)"
	elif [ -d "$1" ]; then
		st="dir $(stat -c '%a %u:%g' -- "$1") -"
	elif [ -e "$1" ]; then
		st=special
	else
		st=absent
	fi
}
# each calls a function for every file that fits a pattern.
each() {
	call=$1
	shift
	for p; do
		found=
		set +f
		IFS=
		for f in $p; do
			set -f
			IFS=$usual
			if [ -L "$f" ] || [ -f "$f" ]; then
				found=1
				"$call" "$f"
			elif [ -d "$f" ] && [ "$f" = "$p" ]; then
				say folder "$f"
				found=1
			elif [ -e "$f" ] && [ "$f" = "$p" ]; then
				say special "$f"
				found=1
			fi
		done
		set -f
		IFS=$usual
		[ -n "$found" ] || say none "$p"
	done
}
look_at() {
	case $1 in *"$nl"* | *"$tab"*) say odd "$1" && return ;; esac
	[ -L "$1" ] || [ -r "$1" ] || say unreadable "$1"
	folder "$1"
	[ -w "$at" ] || say readonly "$1"
	[ "$uid" = 0 ] || [ "$(stat -c %u -- "$1")" = "$uid" ] || say foreign "$1"
	n=$((n + 1)) bytes=$((bytes + $(stat -c %s -- "$1")))
}
keep() {
	case $1 in *"$nl"* | *"$tab"*) fail "a file's name has a tab or a line break: $1" ;; esac
	case $seen in *"$nl$1$nl"*) return ;; esac
	seen=$seen$1$nl
	real "$1"
	[ -n "$it" ] || fail "the folder of $1 cannot be entered"
	if [ "$it" != / ]; then
		state "$it"
		note "$st" 0 "$it" "$at"
	fi
	n=$((n + 1))
	cp -a -- "$1" "$next/$n" || fail "$1 cannot be copied"
	state "$next/$n"
	copied=$st
	state "$1"
	[ "$st" = "$copied" ] || fail "the copy of $1 is not like it: is it being written?"
	note "$st" "$n" "${it%/}/${1##*/}" "$1"
}
note() { printf '%s\t%s\t%s\t%s\n' "$(printf %s "$1" | tr ' ' '\t')" "$2" "$3" "$4" >>"$dir/list.next" || fail "the list cannot be written"; }

# whole tells whether the list is the one that was made.
whole() { [ -f "$list" ] && [ "$(sha256sum <"$list" | cut -c1-64)" = "$want" ]; }
# noted calls a function for every line of the list.
noted() {
	while IFS=$tab read -r kind mode owner sum number truly path; do
		IFS=$usual
		"$1"
	done <"$list"
	IFS=$usual
}
was() { was="$kind $mode $owner $sum"; }
kept() {
	[ "$kind" != dir ] || return 0
	was
	state "$dir/data/$number"
	[ "$st" = "$was" ] || say spoilt "$path"
	real "$path"
	[ -z "$it" ] || [ "${it%/}/${path##*/}" = "$truly" ] || say elsewhere "$path"
	folder "$path"
	[ ! -d "$at" ] || [ -w "$at" ] || say readonly "$path"
}
# put restores one file. It works from within the folder, so that nobody can put
# another one in its place meanwhile, and replaces the file whole.
put() {
	was
	real "$truly"
	folder "$truly"
	[ "$it" = "$at" ] || fail "the folder of $path is gone, or leads elsewhere now"
	name=${truly##*/}
	if [ "$kind" = dir ]; then
		[ -d "$truly" ] || { cd "$at" && mkdir "./$name" && chown "$owner" "./$name" && chmod "$mode" "./$name" && say made "$path"; } ||
			fail "the folder $path cannot be made again"
		return
	fi
	real "$path"
	[ "${it%/}/$name" = "$truly" ] || fail "the folder of $path leads elsewhere now"
	cd -P -- "$at" && [ "$(pwd -P)" = "$it" ] || fail "the folder of $path cannot be entered"
	state "./$name"
	[ "$st" != "$was" ] || return 0
	[ "${st%% *}" != dir ] || fail "$path is a folder now"
	state "$dir/data/$number"
	[ "$st" = "$was" ] || fail "the copy of $path is not the one that was kept"
	mkdir -p "$dir/replaced"
	[ -e "./$name" ] || [ -L "./$name" ] && { cp -a -- "./$name" "$dir/replaced/$number" || fail "what $path is now cannot be kept"; }
	set +f
	rm -rf ./.backout-restore.??????
	set -f
	new=$(mktemp -d ./.backout-restore.XXXXXX) || fail "nothing can be written beside $path"
	fill "$new" && mv -fT -- "$new/$name" "./$name" || {
		rm -rf "$new"
		fail "$path cannot be replaced"
	}
	rmdir "$new"
	sync . 2>/dev/null || sync
	say restored "$path"
}
# fill copies the file into a folder, from within. It must be the one that was made:
# who owns the folder around it may have put another one there, with a link in it.
fill() (
	cd -P "$1" || exit
	case $(stat -c %u:%a .) in "$uid:700" | "$uid:2700") ;; *) exit 1 ;; esac
	cp -a -- "$dir/data/$number" "./$name" && { sync "./$name" 2>/dev/null || sync; }
)
compare() {
	[ "$kind" != dir ] || return 0
	was
	state "$path"
	real "$path"
	if [ "$st" = "$was" ] && [ "${it%/}/${path##*/}" = "$truly" ]; then n=$((n + 1)); else say wrong "$path"; fi
}
added() { IFS= awk -F"$tab" -v n="$(printf %s "$1" | sed 's/\\/\\\\/g')" '$7 == n { y = 1 } END { exit !y }' "$list" || say added "$1"; }

n=0 bytes=0 seen=$nl
case $verb in
look)
	each look_at "$@"
	say files "$n $bytes"
	place=$dir
	while [ ! -d "$place" ]; do folder "$place" && place=$at; done
	[ -w "$place" ] || say nostash "$place"
	say room "$(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
	;;
keep)
	next=$dir/next
	rm -rf "$next" && mkdir -p "$next" && chmod 700 "$dir" && : >"$dir/list.next" || fail "$dir cannot be made"
	each keep "$@"
	sync
	rm -rf "$list" "$dir/data" && mv "$next" "$dir/data" && mv "$dir/list.next" "$list" && sync || fail "$dir cannot be written"
	say kept "$n files"
	;;
check)
	whole || { say spoilt "the list of kept files" && exit 0; }
	noted kept
	;;
restore)
	whole || fail "the list of kept files is not the one that was kept"
	noted put
	;;
probe)
	whole || { say nolist "$list" && exit 0; }
	noted compare
	say right "$n"
	each added "$@"
	;;
sum)
	[ -f "$list" ] || fail "nothing is kept in $dir"
	say list "$(sha256sum <"$list" | cut -c1-64) $(awk -F"$tab" '$1 != "dir" { n++ } END { print n + 0 }' "$list")"
	;;
clean)
	rm -rf "$dir" || exit 1
	rmdir "$base/stash/$change" 2>/dev/null
	;;
*) fail "unknown verb" ;;
esac
exit 0
