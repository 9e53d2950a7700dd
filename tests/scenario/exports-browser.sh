#!/usr/bin/env bash
# The pages of exports/ in a browser, from file://: typing filters, a link opens a transcript, a button copies a
# command, hostile messages run nothing. SCREENSHOTS=DIR leaves pictures there.
. "$(dirname "$0")/lib.sh"
need_mount
need_tool chromium chromedriver
/usr/bin/python3 -c 'import selenium' 2>/dev/null || skip "python3-selenium is not installed"
setup

for name in alpha beta; do
	s=$(session "$name's" "$name")
	printf 'About %s\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n```c\nint main(void) { return 0; }\n```\n' "$name" >"$s/messages/next.md"
	printf -- '---\nrole: assistant\nagent: coder\nmodel: m-1\n---\nAn **answer** with `code` and a https://example.org/%s link.\n' \
		"$(printf 'long%.0s' $(seq 60))" >"$s/messages/next.md"
done
python3 "$HERE/exports_hostile.py" "$(session hostile gamma)"
# Its sockets have room for a short path only.
check "the pages work, and the commands that they copy" env TMPDIR=/tmp PATH="$(dirname "$SCRIBEFS"):$PATH" timeout 300 /usr/bin/python3 "$HERE/exports_browser.py" "$MNT" "$W/profile" "${SCREENSHOTS:-}"
