#!/bin/bash
# The benchmark itself runs: few rows, no peers; JSON, table, plot; nothing is left behind.
. "$(dirname "$0")/lib.sh"
need_tool python3 pkg-config "${CC:-cc}" findmnt tar git
pkg-config --exists fuse3 || skip "no libfuse3-dev"
[ -c /dev/fuse ] || skip "no /dev/fuse"
setup_folder
BENCH=$ROOT/tests/bench/run
export SCRIBEFS
mkdir "$W/dir" "$W/shared"
export SCRIBEFS_SHARED=$W/shared

bench() { timeout 300 "$BENCH" --quick --peers none --dir "$W/dir" "$@"; }
nothing_left() {
	empty "$1: no file is left" "$(ls -A "$W/dir")"
	empty "$1: no mount is left" "$(findmnt -rn -o TARGET | grep "^$W/dir")"
}

must "a run of some rows" bench --rows create,stream,warm-read,big-read,list,peak --json "$W/json" --plot "$W/plot.svg"
cp "$W/.out" "$W/table"
nothing_left "after a run"
check "the JSON has a row for each, each with floor and the disk" python3 - "$W/json" <<-'PY'
	import json, sys
	got = {r["row"]: r for r in json.load(open(sys.argv[1]))["rows"]}
	assert set(got) == {"create", "stream", "warm-read", "big-write", "big-read", "list", "peak"}, sorted(got)
	for name in set(got) - {"peak"}:
	    for system in ("scribefs", "floor", "disk"):
	        assert got[name]["systems"][system]["median"] > 0, (name, system)
	assert got["peak"]["systems"]["scribefs"]["median"] > 1024
	assert got["create"]["aim"].startswith("at most 1.3"), got["create"]
PY
check "AES-256-GCM stands beside the default where the processor has it" grep -q 'AES-256-GCM' "$W/table"
check "the table has the row" grep -q '^create a message .*µs' "$W/table"
if command -v gnuplot >/dev/null; then
	check "the plot is an SVG that names floor" grep -q '>floor<' "$W/plot.svg"
fi
if command -v strace >/dev/null && [ "$(id -u)" = 0 ]; then
	check "the requests of a warm walk were counted: a file is opened, and nothing read" python3 - "$W/json" <<-'PY'
		import json, sys
		counts = json.load(open(sys.argv[1]))["requests"]["scribefs, warm read"]
		assert counts["OPEN"] >= 100 and "READ" not in counts, counts
	PY
fi

check "Markdown" bench --rows stream --markdown
cp "$W/.out" "$W/markdown"
check "its table" grep -q '^| --- | --- |' "$W/markdown"
check "the limits" bench --limits
cp "$W/.out" "$W/limits"
check "a limit that is printed" grep -q '^add a message ' "$W/limits"
check "a store that grows" bench --scale 200
check "a year of three days" bench --year 0.1 --days 3
nothing_left "after all of them"

check_not "a row that there is not" bench --rows nosuch
check_not "a peer that there is not" timeout 60 "$BENCH" --peers nosuch

timeout 300 "$BENCH" --quick --peers none --dir "$W/dir" --scale 1M >"$W/scale.out" 2>&1 &
background $!
wait_for "a run that goes on for long has mounted" sh -c "findmnt -rn -o TARGET | grep -q '^$W/dir'"
kill $! # timeout, which passes it on
wait $!
nothing_left "after SIGTERM"
