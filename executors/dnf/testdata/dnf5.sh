#!/bin/sh
# Plays dnf5 5.2.
cd "$STAGE" || exit 1
test='' store=''
while [ $# -gt 0 ]; do
	case $1 in
	--setopt=tsflags=test) test=yes ;;
	--store=*) store=${1#*=} ;;
	--version) echo "dnf5 version 5.2.13.1" && exit 0 ;;
	-*) ;;
	*) break ;;
	esac
	shift
done
name() { n=${1%-*-*} a=${1##*.}; e=${1#"$n"-}; e=${e%."$a"}; }
item() { printf '    {\n      "nevra":"%s-%s.%s",\n      "action":"%s",\n      "reason":"User",\n      "repo_id":"%s"\n    }' "$1" "${3#0:}" "$2" "$4" "$5" >>items; }
stored() {
	mkdir -p "$store"
	{ printf '{\n  "rpms":[\n'; sed 's/^    }    {/    },\n    {/' items; printf '\n  ],\n  "version":"1.0"\n}\n'; } >"$store/transaction.json"
	echo "Transaction stored to $store."
}
: >items
verb=$1
[ $# = 0 ] || shift
case $verb in
history | needs-restarting)
	[ "$verb" = history ] || { echo "Reboot is required to fully utilize these updates." && exit 1; }
	;;
repoquery)
	while [ $# -gt 0 ]; do case $1 in --qf) shift 2 ;; --refresh) shift ;; *) break ;; esac; done
	while read -r n a e; do
		for p in "$@"; do [ "$p" != "$n-$e.$a" ] || echo "$n $a $e"; done
	done <offered
	;;
upgrade)
	while read -r n a e; do
		case $e in *2.0*) ;; *) continue ;; esac
		old=$(grep "^$n $a " installed | cut -d ' ' -f 3)
		[ -z "$old" ] || [ "$old" = "$e" ] || { item "$n" "$a" "$e" Upgrade base; item "$n" "$a" "$old" Replaced @System; }
	done <offered
	if [ -s items ]; then stored; else echo "Nothing to do."; fi
	;;
do)
	[ "$1" != --help ] || exit 0
	cp installed next
	for p in "$@"; do
		case $p in
		--action=*) action=${p#*=} && continue ;;
		-*) continue ;;
		esac
		name "$p"
		case $action in
		install)
			grep -qxF "$n $a $e" offered || { echo "No match for argument: $p" && echo "Failed to resolve the transaction:" && exit 1; }
			old=$(grep "^$n $a " next | cut -d ' ' -f 3)
			item "$n" "$a" "$e" Downgrade base
			[ -z "$old" ] || item "$n" "$a" "$old" Replaced @System
			grep -v "^$n $a " next >rest
			echo "$n $a $e" >>rest
			;;
		remove)
			grep -qxF "$n $a $e" next || { echo "No packages to remove for argument: $p" && exit 1; }
			item "$n" "$a" "$e" Remove @System
			grep -vxF "$n $a $e" next >rest
			;;
		esac
		mv rest next
	done
	if grep -q '^late ' next; then item late noarch 0:1.0-1 Remove @System; grep -v '^late ' next >rest; mv rest next; fi
	if [ -n "$store" ]; then stored; elif [ -z "$test" ]; then sort next >installed; fi
	;;
download) ;;
*) echo "dnf5: $verb $*" >&2 && exit 1 ;;
esac
exit 0
