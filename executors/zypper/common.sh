# What the scripts of this folder share.
LC_ALL=C TZ=UTC ZYPP_LOCK_TIMEOUT=${ZYPP_LOCK_TIMEOUT:-600}
export LC_ALL TZ ZYPP_LOCK_TIMEOUT
zypp() { zypper --non-interactive --no-color "$@"; }
installed() { rpm -qa --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n' | grep -v '^gpg-pubkey '; }
# markup leaves what is read of zypper's XML.
markup() { grep -e '^</*to-' -e '^<solvable ' -e '^<install-summary ' -e '^<message ' -e '^<download-result>'; }
# ask keeps what zypper says in XML, and its exit code; again says it.
ask() { out=$(zypp --xmlout "$@" 2>&1 </dev/null) && rc=0 || rc=$?; }
again() {
	printf '%s\n' "$out" | markup
	return "$rc"
}
# olds are the installed versions that an update would replace or remove.
olds() {
	awk -F'"' '
		/^<to-/ { verb = $0 }
		/^<solvable type="package"/ {
			if ($9 == " edition-old=") ref = $4 "." $12 "=" $10
			else if (verb == "<to-remove>") ref = $4 "." $8 "=" $6
			else next
			if (ref ~ /^[A-Za-z0-9_][A-Za-z0-9_.+:~^=-]*$/) print ref
		}'
}
# refs are those that the patch is going to replace: what zypper says, and what
# fits the patterns.
refs() {
	{
		printf '%s\n' "$out" | olds
		for pattern; do
			rpm -qa --qf '%{NAME}.%{ARCH}=%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- "$pattern"
		done | grep -v '^gpg-pubkey\.' | grep -x '[A-Za-z0-9_][A-Za-z0-9_.+:~^=-]*'
	} | sort -u
}
# rpmfile is what a package is called as a file.
rpmfile() { printf '%s\n' "$1" | sed 's/^\(.*\)\.\([^.=]*\)=\([0-9]*:\)*\(.*\)$/\1-\4.\2.rpm/'; }
# whole tells whether what was kept is as it was.
whole() {
	[ -n "$2" ] && [ -e "$1/SHA256SUMS" ] && [ "$(sha256sum <"$1/SHA256SUMS" | cut -d ' ' -f 1)" = "$2" ] && (cd "$1" && sha256sum --check --quiet SHA256SUMS) >&2
}
unsigned() { zypper install --help 2>/dev/null | grep -o -e --allow-unsigned-rpm | head -n 1; }
