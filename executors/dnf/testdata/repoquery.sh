#!/bin/sh
# Plays repoquery of yum-utils: what is offered of the packages that are asked for.
while read -r n a e; do
	for p in "$@"; do
		[ "$p" = "$n-$e.$a" ] && echo "$n $a $e"
	done
done <"$STAGE/offered"
exit 0
