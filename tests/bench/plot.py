"""A plot of a run: for each row, every system's cost by scribefs', as an SVG, drawn by gnuplot."""
import shutil
import subprocess

COLOURS = {"scribefs": "#000000", "gocryptfs": "#1f77b4", "securefs": "#2ca02c", "cryfs": "#9467bd", "encfs": "#ff7f0e",
           "floor": "#7f7f7f", "bindfs": "#bcbd22", "disk": "#d62728"}


def script(summary, names, labels):
    rows = [row for row in summary if len(row["systems"]) > 1]
    height = 90 + 24 * len(rows)
    ticks = ", ".join(f'"{row["text"].replace(chr(34), "").replace("`", "")}" {len(rows) - i}' for i, row in enumerate(rows))
    out = [f'set terminal svg size 1000,{height} font "sans,11" background "white"',
           'set logscale x', 'set grid x ytics lc rgb "#dddddd"', f"set yrange [0.5:{len(rows) + 0.5}]",
           f"set ytics ({ticks})", 'set xlabel "cost by scribefs\' (logarithmic): to the right of 1 scribefs is ahead"',
           'set key outside top center horizontal', 'set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb "#000000"']
    series = []
    for index, name in enumerate(names):
        points = [(row["systems"][name]["median"] / row["systems"]["scribefs"]["median"], len(rows) - i)
                  for i, row in enumerate(rows)
                  if row["systems"].get(name, {}).get("median") and row["systems"]["scribefs"]["median"]]
        if points:
            out.append(f"$data{index} << END\n" + "\n".join(f"{x:.6g} {y}" for x, y in points) + "\nEND")
            series.append(f'$data{index} using 1:2 with points pt {5 + 2 * (index % 5)} ps 1 lc rgb "{COLOURS[name]}" '
                          f'title "{labels.get(name, name)}"')
    return "\n".join(out + ["plot " + ", ".join(series)]) + "\n" if series else ""


def draw(summary, names, labels, path):
    """Whether it was drawn."""
    text = script(summary, names, labels)
    if not text or not shutil.which("gnuplot"):
        return False
    with open(path, "wb") as f:
        done = subprocess.run(["gnuplot"], input=text.encode(), stdout=f, stderr=subprocess.PIPE)
    return done.returncode == 0
