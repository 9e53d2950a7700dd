"""The table of a run, for the terminal, in Markdown and for JSON."""
import statistics

import rows
from aims import fastest_peer, judge

UNITS = {"us": "µs", "s": "s", "mbs": "MB/s", "kib": "MB"}


def figure(unit, value):
    """As it is shown, of the unit that rows.py tells."""
    value = {"us": value * 1e6, "s": value, "mbs": 1 / value if value else 0, "kib": value / 1024}[unit]
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def text_of(row, opt, samples):
    fields = {**vars(opt.sizes), "samples": "983 real sessions" if samples else "generated sessions"}
    fields["names"] = f"{opt.sizes.names:,}"
    return row.text.format(**fields)


def summarise(run):
    """A dictionary for each row that was measured."""
    flush = statistics.median(run.flush) if run.flush else None
    summary = []
    for row in rows.ROWS:
        results = run.results[row.name]
        if row.hidden or "scribefs" not in results:
            continue
        median = {name: statistics.median(values) for name, values in results.items()}
        met, aim = judge(row.name, median, flush, run.notes)
        peer, mine = fastest_peer(median), median["scribefs"]
        summary.append({
            "row": row.name, "text": text_of(row, run.opt, run.shared["split"]), "unit": row.unit,
            "systems": {name: {"median": median[name], "spread": spread(values), "all": values}
                        for name, values in results.items()},
            "fastest_peer": peer, "by_peer": median[peer] / mine if peer and mine else None,
            "by_floor": mine / median["floor"] if median.get("floor") else None,
            "aim": aim, "met": met})
    return summary


def cell(row, name):
    system = row["systems"].get(name)
    if not system:
        return "–"
    shown = figure(row["unit"], system["median"])
    return f"{shown} ±{100 * system['spread']:.0f}" if len(system["all"]) > 1 else shown


def lines_of(run, summary):
    names = [k.name for k in run.kinds if k.name != "scribefs-aes"]
    yield ["", "unit", *(n if n != "disk" else run.versions.get("disk", "disk") for n in names), "by peer", "by floor", "aim"]
    for row in summary:
        peer = f"{ratio(row['by_peer'])} ({row['fastest_peer']})" if row["by_peer"] else "–"
        met = {True: "met", False: "NOT MET", None: "?"}[row["met"]]
        yield [row["text"], UNITS[row["unit"]], *(cell(row, n) for n in names), peer,
               ratio(row["by_floor"]) if row["by_floor"] else "–", met]


def ciphers_of(summary):
    """The rows of the large file, with both ciphers."""
    for row in summary:
        if "scribefs-aes" in row["systems"]:
            yield [row["text"], UNITS[row["unit"]], cell(row, "scribefs"), cell(row, "scribefs-aes")]


def cpu_of(run, summary):
    """Of each row, the daemons' processor time; it hardly depends on what else runs."""
    names = [k.name for k in run.kinds if k.name not in ("scribefs-aes", "disk")]
    yield ["daemon's processor time", "", *names]
    for row in summary:
        took = run.daemon_cpu.get(row["row"], {})
        if row["unit"] != "kib" and took:
            yield [row["text"], "s", *(f"{statistics.median(took[n]):.2f}" if n in took else "–" for n in names)]


def unmet(summary):
    for row in summary:
        if row["met"] is False:
            yield f"{row['text']}: {row['aim']}; {excess(row)}"
        elif row["met"] is None:
            yield f"{row['text']}: {row['aim']}"


def excess(row):
    said = [f"scribefs {figure(row['unit'], row['systems']['scribefs']['median'])} {UNITS[row['unit']]}"]
    for name in dict.fromkeys((row["fastest_peer"], "floor", "disk", "gocryptfs")):
        if name in row["systems"]:
            said.append(f"{name} {figure(row['unit'], row['systems'][name]['median'])}")
    return ", ".join(said)


EXPLAIN = ("±: slowest less fastest round, % of the median. by peer: the fastest encrypted peer's cost by scribefs', "
           "above 1 scribefs is ahead. by floor: scribefs' cost by the floor's.")


def padded(lines):
    lines = list(lines)
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, width))).rstrip()
            for line in lines]


def markdown(lines):
    lines = list(lines)
    head = ["| " + " | ".join(lines[0]) + " |", "| " + " | ".join(["---"] * len(lines[0])) + " |"]
    return head + ["| " + " | ".join(line) + " |" for line in lines[1:]]


def heading(run):
    return (f"{', '.join(v for v in run.versions.values() if v)}; kernel {run.kernel}, {run.processors} processors, "
            f"{run.opt.rounds} rounds, caches {'dropped' if run.dropped else 'NOT dropped: no permission'}"
            f"{', before all other processes (--realtime)' if run.opt.realtime else ''}")


def show(run, summary, in_markdown):
    """The whole report."""
    form = markdown if in_markdown else padded
    out = [heading(run), "", *form(lines_of(run, summary))]
    both = list(ciphers_of(summary))
    if both:
        out += ["", *form([["", "unit", "XChaCha20-Poly1305", "AES-256-GCM"], *both])]
    if run.opt.cpu:
        out += ["", *form(cpu_of(run, summary))]
    out += ["", EXPLAIN]
    if run.flush:
        out.append(f"An fdatasync of this disk: {statistics.median(run.flush) * 1e6:.0f} µs.")
    for name, error in run.failures.items():
        out.append(f"{name} was left out: {error}")
    missed = list(unmet(summary))
    out += ["", "Aims that are not met:" if missed else "Every aim is met.", *([""] if missed else [])]
    return "\n".join(out + ["- " + line for line in missed])
