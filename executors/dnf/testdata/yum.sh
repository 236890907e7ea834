#!/bin/sh
# Plays yum 3.4.3.
cd "$STAGE" || exit 1
test=''
while [ $# -gt 0 ]; do
	case $1 in
	--setopt=tsflags=test) test=yes ;;
	--assumeno) ;;
	-*) [ "$1" != --version ] || { echo 3.4.3; exit 0; } ;;
	*) break ;;
	esac
	shift
done
name() { n=${1%-*-*} a=${1##*.}; e=${1#"$n"-}; e=${e%."$a"}; }
case $1 in
history) echo "Loaded plugins: fastestmirror" ;;
update)
	echo "Loaded plugins: fastestmirror"
	: >new
	while read -r n a e; do
		case $e in *2.0*) ;; *) continue ;; esac
		old=$(grep "^$n $a " installed | cut -d ' ' -f 3)
		[ -z "$old" ] || [ "$old" = "$e" ] || {
			echo "---> Package $n.$a $old will be updated"
			echo "---> Package $n.$a $e will be an update"
		} >>new
	done <offered
	if [ -s new ]; then
		echo "Resolving Dependencies"
		cat new
		printf -- "--> Finished Dependency Resolution\n\nDependencies Resolved\n\nExiting on user command\n"
		exit 1
	fi
	echo "No packages marked for update"
	;;
shell)
	cp installed next
	: >said
	while read -r verb list; do
		for p in $list; do
			name "$p"
			case $verb in
			install | downgrade)
				if ! grep -qxF "$n $a $e" offered; then
					echo "No package $p available."
					continue
				fi
				grep "^$n $a " next | while read -r _ _ old; do echo "---> Package $n.$a $old will be erased"; done >>said
				echo "---> Package $n.$a $e will be a downgrade" >>said
				grep -v "^$n $a " next >rest
				echo "$n $a $e" >>rest
				;;
			remove)
				echo "---> Package $n.$a $e will be erased" >>said
				grep -vxF "$n $a $e" next >rest
				;;
			esac
			mv rest next
		done
	done <"$2"
	if grep -q '^late ' next; then
		echo "---> Package late.noarch 0:1.0-1 will be erased" >>said
		grep -v '^late ' next >rest
		mv rest next
	fi
	echo "--> Running transaction check"
	cat said
	printf -- "--> Finished Dependency Resolution\n\nDependencies Resolved\n\nRunning transaction check\nRunning transaction test\nTransaction test succeeded\n"
	[ -n "$test" ] || sort next >installed
	;;
*) echo "yum: $*" >&2 && exit 1 ;;
esac
