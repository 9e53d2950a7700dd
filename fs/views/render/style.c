#include "fs/views/render/style.h"

#include "fs/session/timestamp.h"

#include <inttypes.h>

static const char style[] =
	":root{color-scheme:light dark;--page:#fff;--text:#1c1e21;--faint:#59636e;--line:#d4d9df;"
	"--box:#f5f6f8;--link:#0757ba;--user:#0757ba;--assistant:#1a7339;--system:#7a4f01;"
	"--tool:#6b3fa0}\n"
	"@media (prefers-color-scheme:dark){:root{--page:#15181c;--text:#e3e6ea;--faint:#9aa4af;"
	"--line:#363d45;--box:#1e2329;--link:#6cb0ff;--user:#6cb0ff;--assistant:#62c584;"
	"--system:#e0b25c;--tool:#c5a2f2}}\n"
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0 auto;padding:1rem;max-width:56rem;background:var(--page);color:var(--text);"
	"font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}\n"
	"a{color:var(--link)}\n"
	"time{white-space:nowrap}\n"
	"h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}\n"
	".faint{color:var(--faint);font-size:.875rem}\n"
	"table{border-collapse:collapse}\n"
	"th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:left;"
	"vertical-align:top}\n"
	".wide{overflow-x:auto;max-width:100%}\n"
	"summary{cursor:pointer;padding:.5rem 0}\n"
	"article{margin:1.25rem 0;border:1px solid var(--line);border-radius:.5rem;overflow:hidden}\n"
	"article>header{display:flex;flex-wrap:wrap;gap:.25rem .75rem;padding:.5rem .9rem;"
	"background:var(--box);border-left:.3rem solid var(--role)}\n"
	"article>header b{color:var(--role)}\n"
	".user{--role:var(--user)}.assistant{--role:var(--assistant)}.system{--role:var(--system)}"
	".tool{--role:var(--tool)}\n"
	".text{padding:.1rem .9rem}\n"
	".text table{display:block;overflow-x:auto;max-width:100%}\n"
	"pre{overflow-x:auto;padding:.7rem;background:var(--box);border-radius:.4rem;"
	"line-height:1.4}\n"
	"code,pre{font:.875rem ui-monospace,monospace}\n"
	":not(pre)>code{background:var(--box);padding:.1em .3em;border-radius:.25rem}\n"
	"pre.plain{white-space:pre-wrap;background:none;padding:0}\n"
	"blockquote{margin-left:0;padding-left:.9rem;border-left:.25rem solid var(--line);"
	"color:var(--faint)}\n"
	"#filter{display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0}\n"
	"input[type=search]{flex:1 1 14rem}\n"
	"input[type=search],select,button{font:inherit;padding:.4rem .6rem;color:inherit;"
	"background:var(--box);border:1px solid var(--line);border-radius:.4rem;max-width:100%}\n"
	"button{cursor:pointer;font-size:.875rem}\n"
	"#sessions{list-style:none;padding:0}\n"
	"#sessions>li{padding:.7rem 0;border-bottom:1px solid var(--line)}\n"
	"#sessions a{font-weight:600}\n"
	".acts{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem;margin-top:.3rem}\n"
	"[hidden]{display:none!important}\n"
	"@media print{body{max-width:none}article{break-inside:auto}}\n";

/* A title bar can isolate nothing. */
static void put_title(struct sink *out, const char *title)
{
	struct sink clean = {.to = UINT64_MAX};

	sink_line(&clean, title);
	sink_html(out, (const char *)clean.bytes.data, clean.bytes.len);
	buf_release(&clean.bytes);
}

void put_html_head(struct sink *out, const char *title, bool script)
{
	sink_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		       "style-src 'unsafe-inline'");
	sink_text(out, script ? "; script-src 'unsafe-inline'" : "");
	sink_text(out, "; base-uri 'none'; form-action 'none'\">\n"
		       "<meta name=\"referrer\" content=\"no-referrer\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		       "<title>");
	put_title(out, title);
	sink_text(out, "</title>\n<style>\n");
	sink_text(out, style);
	sink_text(out, "</style>\n</head>\n");
}

/* Of what sink_time() writes, 2026-11-29T03:08:43.966Z, the date and the time of day. */
#define DATE 10
#define CLOCK_AT 11
#define CLOCK 8

void put_html_time(struct sink *out, int64_t ms)
{
	char text[TIMESTAMP_LEN + 1];

	timestamp_format(ms, text);
	sink_printf(out, "<time datetime=\"%s\">%.*s %.*s UTC</time>", text, DATE, text, CLOCK, text + CLOCK_AT);
}

void put_html_count(struct sink *out, uint64_t n, const char *what)
{
	sink_printf(out, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}
