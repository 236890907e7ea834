# Looks at the machine and changes nothing. Its first argument names the parts that
# are left out, with a space before and after each; the others are patterns of files.
# What a tool says stands in a section, each line after a space, so that nothing it
# says can look like the end of one; only the last line makes the whole of it count.
LC_ALL=C LANG=C TZ=UTC TERM=dumb PAGER=cat SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 DPKG_COLORS=never
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL LANG TZ TERM PAGER SYSTEMD_PAGER SYSTEMD_COLORS DPKG_COLORS PATH
unset LANGUAGE COLUMNS DPKG_ADMINDIR DPKG_ROOT APT_CONFIG
set +f
tab=$(printf '\t')
nl='
'

part() {
	printf '@%s\n' "$1"
	shift
	{
		code=$({ {
			("$@" 3>&- 4>&-)
			echo "$?" >&3
			echo
		} </dev/null | sed 's/^/ /' >&4; } 3>&1)
	} 4>&1
	printf '@end %s\n' "$code"
}

# The ways in which a section ends that the reader knows by their code.
lacks() {
	echo "$1 $2"
	exit 127
}
need() { command -v "$1" >/dev/null 2>&1 || lacks "$1" "$2"; }
unreadable() {
	printf '%s\n' "$1"
	exit 77
}
odd() {
	printf '%s\n' "$1"
	exit 78
}
directory() {
	printf '%s\n' "$1"
	exit 79
}

release() {
	for f in /etc/os-release /usr/lib/os-release; do
		if [ -e "$f" ]; then
			cat "$f"
			return
		fi
	done
}

machine() {
	echo "hostname $(uname -n)"
	echo "kernel $(uname -r)"
	echo "build $(uname -v)"
	echo "arch $(uname -m)"
	echo "boot_id $(cat /proc/sys/kernel/random/boot_id)"
	[ ! -r /etc/machine-id ] || echo "machine_id $(cat /etc/machine-id)"
	if [ -d /run/systemd/system ]; then echo "init systemd"; else echo "init other"; fi
	if [ -r /proc/cmdline ]; then echo "cmdline $(cat /proc/cmdline)"; fi
}

# family is which package manager the system is made of. Either's tool may be
# installed where the other one rules.
family() {
	like=
	while IFS= read -r line; do
		case $line in ID=* | ID_LIKE=*) like="$like ${line#*=}" ;; esac
	done <<-END
		$(release)
	END
	dpkg=''
	rpm=''
	[ ! -s /var/lib/dpkg/status ] || dpkg=1
	for f in /var/lib/rpm /usr/lib/sysimage/rpm /usr/share/rpm; do
		for g in Packages Packages.db rpmdb.sqlite; do [ ! -s "$f/$g" ] || rpm=1; done
	done
	case $(echo "$like" | tr "\"'" '  ')' ' in
	*[\ ]debian[\ ]* | *[\ ]ubuntu[\ ]*) own=dpkg ;;
	*[\ ]rhel[\ ]* | *[\ ]fedora[\ ]* | *[\ ]centos[\ ]* | *[\ ]suse[\ ]* | *[\ ]opensuse[\ ]* | *[\ ]sles[\ ]* | *[\ ]amzn[\ ]* | *[\ ]mariner[\ ]* | *[\ ]azurelinux[\ ]*) own=rpm ;;
	*) own= ;;
	esac
	case $own$dpkg-$rpm in
	dpkg*) [ "$dpkg" ] || ! command -v dpkg-query >/dev/null 2>&1 || dpkg=1 ;;
	rpm*) [ "$rpm" ] || ! command -v rpm >/dev/null 2>&1 || rpm=1 ;;
	esac
	case $own-$dpkg-$rpm in
	dpkg-1-* | -1-) echo dpkg ;;
	rpm-*-1 | --1) echo rpm ;;
	-1-1) echo both ;;
	*) echo none ;;
	esac
}

# busy says which of the lock files a process holds for writing.
busy() {
	[ -r /proc/locks ] || return 0
	for f; do
		if [ ! -e "$f" ] || ! command -v stat >/dev/null 2>&1; then continue; fi
		inode=$(stat -c %i "$f") || continue
		while IFS= read -r line; do
			case $line in *' -> '*) ;; *WRITE*:"$inode "*) echo "$f" ;; esac
		done </proc/locks
	done
}

dpkg_packages() {
	need dpkg-query dpkg
	# shellcheck disable=SC2016 # dpkg-query fills these in
	dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n'
}

rpm_packages() {
	need rpm rpm
	rpm -qa --qf '%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n'
}

apt_history() {
	for f in /var/log/apt/history.log /var/log/apt/history.log.1 /var/log/apt/history.log.1.gz /var/log/apt/history.log.2.gz; do
		[ -e "$f" ] || continue
		[ -r "$f" ] || unreadable "$f"
		case $f in
		*.gz)
			need gzip gzip
			last=$(gzip -dc "$f" | grep '^Start-Date: ' | tail -n 1)
			;;
		*) last=$(grep '^Start-Date: ' "$f" | tail -n 1) ;;
		esac
		if [ "$last" ]; then
			echo "$last"
			return
		fi
	done
}

# front is the front end of rpm that the machine's people use.
front() {
	for f in dnf dnf5 yum zypper; do
		way=$(command -v "$f") || continue
		case $f-$(readlink -f "$way") in
		*/dnf5) echo dnf5 ;;
		yum-*/dnf*) echo dnf ;;
		*) echo "$f" ;;
		esac
		return
	done
}

# version says the tool's version, as its package has it, else as it says itself.
version() {
	if said=$(rpm -q --qf '%{VERSION}\n' "$1" 2>/dev/null); then
		echo "$1 $said" | head -n 1
	else
		said=$("$1" --version) || return
		said=${said#"$1 "}
		echo "$1 ${said#version }" | head -n 1
	fi
}

rpm_history() {
	case $1 in
	dnf) [ ! -s /var/lib/dnf/history.sqlite ] || dnf -q --noplugins history list ;;
	dnf5) for f in /usr/lib/sysimage/libdnf5/transaction_history.sqlite /var/lib/dnf/history.sqlite; do
		[ ! -s "$f" ] || { dnf5 -q history list && break; }
	done ;;
	yum) for f in /var/lib/yum/history/*.sqlite; do
		[ ! -s "$f" ] || { yum -q --noplugins history list && break; }
	done ;;
	zypper)
		[ ! -e /var/log/zypp/history ] || [ -r /var/log/zypp/history ] || unreadable /var/log/zypp/history
		[ ! -e /var/log/zypp/history ] || sed -n 's/^\([0-9][0-9-]* [0-9:]*\)|.*/date \1/p' /var/log/zypp/history | tail -n 1
		;;
	esac
}

rpm_sources() {
	case $1 in
	dnf) dnf -q --noplugins -C --disablerepo='*' repoquery --installed --qf "%{name}$tab%{epoch}:%{version}-%{release}$tab%{arch}$tab%{from_repo}" ;;
	dnf5) dnf5 -q -C --disablerepo='*' repoquery --installed --qf "%{name}$tab%{epoch}:%{version}-%{release}$tab%{arch}$tab%{from_repo}\n" ;;
	esac
}

rpm_held() {
	case $1 in
	dnf) f=/etc/dnf/plugins/versionlock.list ;;
	dnf5) f=/etc/dnf/versionlock.toml ;;
	yum) f=/etc/yum/pluginconf.d/versionlock.list ;;
	zypper) f=/etc/zypp/locks ;;
	*) return 0 ;;
	esac
	[ -e "$f" ] || return 0
	[ -r "$f" ] || unreadable "$f"
	cat "$f"
}

packages() {
	manager=$(family)
	part manager echo "$manager"
	case $manager in
	dpkg)
		part busy busy /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend
		part dpkg-version dpkg-query --version
		part dpkg dpkg_packages
		part apt-history apt_history
		;;
	rpm)
		part busy busy "$(rpm --eval '%_rpmlock_path' 2>/dev/null)" /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock
		part rpm-version rpm --version
		part rpm rpm_packages
		tool=$(front)
		[ "$tool" ] || return 0
		part tool version "$tool"
		part history rpm_history "$tool"
		part sources rpm_sources "$tool"
		part held rpm_held "$tool"
		;;
	esac
}

types=service,socket,timer,path,automount,target
unit_files() { systemctl list-unit-files --no-legend --no-pager --full --type="$types"; }
unit_states() { systemctl list-units --all --no-legend --no-pager --full --plain --type="$types"; }

sockets() {
	for f in tcp tcp6 udp udp6; do
		[ -e "/proc/net/$f" ] || [ "$f" != tcp ] || return 1
		[ ! -e "/proc/net/$f" ] || sed -n "s/^ *[0-9][0-9]*: \([0-9A-F]*:[0-9A-F]*\) [0-9A-F]*:[0-9A-F]* \(0[A7]\) .*/$f \2 \1/p" "/proc/net/$f" || return
	done
}

# one tells of one file; the second argument says that it is named, not only matched.
one() {
	case $1 in *"$nl"*) odd "${1%/*}" ;; esac
	if [ -L "$1" ]; then
		kind='link'
	elif [ -f "$1" ]; then
		kind='file'
	elif [ -d "$1" ]; then
		[ -z "$2" ] || directory "$1"
		return 0
	elif [ -e "$1" ]; then
		return 0
	else
		[ -z "$2" ] || printf 'absent\t\t\t\t%s\n' "$1"
		return 0
	fi
	about=$(stat -c "%a$tab%u:%g" "$1") || exit 1
	if [ "$kind" = link ]; then
		to=$(readlink "$1") || exit 1
		case $to in *"$nl"*) odd "${1%/*}" ;; esac
		printf 'link\t%s\t\t%s\nto\t%s\n' "$about" "$1" "$to"
		return 0
	fi
	[ -r "$1" ] || unreadable "$1"
	sum=$(sha256sum <"$1") || exit 1
	printf 'file\t%s\t%s\t%s\n' "$about" "${sum%% *}" "$1"
}

# walk follows a pattern through its folders: what is done, what is left, and
# whether it is without wildcards so far. A folder that cannot be searched is no
# empty folder.
walk() {
	case $1 in *"$nl"*) odd "${1%/*}" ;; esac
	if [ ! -d "$1/" ]; then
		[ -z "$3" ] || printf 'absent\t\t\t\t%s\n' "$1/$2"
		return 0
	fi
	[ -x "$1/" ] || unreadable "$1"
	case $2 in
	*/*) set -- "$1" "${2%%/*}" "${2#*/}" "$3" ;;
	*) set -- "$1" "$2" '' "$3" ;;
	esac
	case $2 in
	*[*?[]*)
		[ -r "$1/" ] || unreadable "$1"
		# shellcheck disable=SC2231 # the pattern is there to be expanded
		for entry in "$1"/$2; do
			[ -e "$entry" ] || [ -L "$entry" ] || continue
			if [ "$3" ]; then walk "$entry" "$3" ''; else one "$entry" ''; fi
		done
		;;
	*) if [ "$3" ]; then walk "$1/$2" "$3" "$4"; else one "$1/$2" "$4"; fi ;;
	esac
}

files() {
	need sha256sum coreutils
	need stat coreutils
	need readlink coreutils
	IFS=
	for pattern; do walk '' "${pattern#/}" named; done
}

accounts() { files /etc/passwd /etc/group /etc/sudoers '/etc/sudoers.d/*'; }

# aide_database names the database of its configuration, when there is one.
aide_database() {
	for f in /etc/aide/aide.conf /etc/aide.conf; do
		[ -e "$f" ] || continue
		[ -r "$f" ] || unreadable "$f"
		sed -n -e 's/^[[:space:]]*@@define[[:space:]][[:space:]]*\([A-Za-z_][A-Za-z0-9_]*\)[[:space:]][[:space:]]*\(.*\)/define \1 \2/p' \
			-e 's/^[[:space:]]*database_in[[:space:]]*=[[:space:]]*file:/file /p' -e 's/^[[:space:]]*database[[:space:]]*=[[:space:]]*file:/file /p' "$f"
	done
}

aide_state() {
	db=$1
	[ -d "${db%/*}" ] && [ ! -x "${db%/*}" ] && unreadable "$db"
	[ -e "$db" ] || return 0
	[ -r "$db" ] || unreadable "$db"
	need sha256sum coreutils
	sum=$(sha256sum <"$db") || return
	said=$(aide --version 2>&1) || return
	echo "version $(echo "$said" | head -n 1)"
	echo "database ${sum%% *}"
}

aide_look() {
	command -v aide >/dev/null 2>&1 || return 0
	found=''
	db=/var/lib/aide/aide.db
	[ -e "$db" ] || [ ! -e "$db.gz" ] || db=$db.gz
	defines=
	said=$(aide_database) || {
		code=$?
		printf '%s\n' "$said"
		exit "$code"
	}
	while IFS= read -r line; do
		case $line in
		'define '*) defines="$defines$nl${line#define }" ;;
		'file '*) [ "$found" ] || found=${line#file } ;;
		esac
	done <<-END
		$said
	END
	while IFS= read -r line; do
		name=${line%% *}
		case $name$found in ?*"@@{$name}"*) found=${found%%"@@{$name}"*}${line#"$name "}${found#*"@@{$name}"} ;; esac
	done <<-END
		$defines
	END
	aide_state "${found:-$db}"
}

look() {
	without=$1
	shift
	echo 'backout-capture 1'
	part release release
	part machine machine
	case $without in *' ports '*) ;; *) part sockets-before sockets ;; esac
	packages
	if [ -d /run/systemd/system ]; then
		case $without in *' units '*) ;; *)
			part systemd systemctl --version
			part unit-files unit_files
			part unit-states unit_states
			;;
		esac
	fi
	case $without in *' mounts '*) ;; *) part mounts cat /proc/self/mountinfo ;; esac
	case $without in *' accounts '*) ;; *) part accounts accounts ;; esac
	case $without in *' files '*) ;; *) part files files "$@" ;; esac
	case $without in *' aide '*) ;; *) part aide aide_look ;; esac
	case $without in *' ports '*) ;; *)
		part range cat /proc/sys/net/ipv4/ip_local_port_range
		part sockets-after sockets
		;;
	esac
	echo '@whole'
}

# check lets AIDE compare. Its report comes in JSON where it can: the format counts
# for the reports that are named after it, so it stands before all of them, and the
# configuration's own reports stay as they are.
aide_check() {
	need aide aide
	for f in /etc/aide/aide.conf /etc/aide.conf; do
		if [ -e "$f" ]; then
			set -- --config="$f"
			break
		fi
	done
	case $(aide --version 2>&1 | head -n 1) in
	*' 0.1'[0-7]*) ;;
	*) set -- "$@" --before="report_format=json${nl}report_url=stdout${nl}report_format=plain" ;;
	esac
	aide --check "$@"
}

check() {
	echo 'backout-capture 1'
	part version aide --version
	part check aide_check
	echo '@whole'
}

work=look
[ "$0" != backout-aide ] || work=check
if command -v gzip >/dev/null 2>&1; then "$work" "$@" | gzip -1c; else "$work" "$@"; fi
