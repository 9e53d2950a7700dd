/*
 * index_html.c: index.html of a folder of sessions: lists, filters, opens, copies commands. The script works
 * on what is in the page; without it everything is listed.
 */
#include "fs/views/render/render.h"
#include "fs/views/render/style.h"

#include <inttypes.h>
#include <string.h>

static const char script[] =
	"<script>\n"
	"'use strict';\n"
	"const rows=[...document.querySelectorAll('#sessions>li')],by=i=>document.getElementById(i);\n"
	"const since={today(d){d.setHours(0,0,0,0)},week(d){d.setDate(d.getDate()-7)},"
	"month(d){d.setMonth(d.getMonth()-1)}};\n"
	"for(const r of rows)r.words=[...r.querySelectorAll('a,div.faint')]"
	".map(e=>e.textContent).join(' ').toLowerCase();\n"
	"for(const w of [...new Set(rows.map(r=>r.dataset.workflow))].sort())"
	"by('workflow').append(new Option(w,w));\n"
	"function filter(){\n"
	" const words=by('text').value.toLowerCase().split(/\\s+/),state=by('state').value,"
	"workflow=by('workflow').value,time=by('time').value,from=new Date();\n"
	" if(time)since[time](from);\n"
	" let n=0;\n"
	" for(const r of rows){\n"
	"  const show=words.every(w=>r.words.includes(w))&&(!state||r.dataset.state===state)&&"
	"(!workflow||r.dataset.workflow===workflow)&&(!time||new Date(r.dataset.time)>=from);\n"
	"  r.hidden=!show;n+=show;\n"
	" }\n"
	" by('shown').textContent=n+' of '+rows.length+' sessions';\n"
	"}\n"
	"for(const i of ['text','state','workflow','time'])by(i).addEventListener('input',filter);\n"
	"const quote=p=>\"'\"+p.replaceAll(\"'\",\"'\\\\''\")+\"'\";\n"
	"const here=decodeURIComponent(location.pathname),at=here.lastIndexOf('/exports/');\n"
	"const mount=location.protocol==='file:'&&at>=0?here.slice(0,at)+'/':'';\n"
	"function command(what,path){\n"
	" if(what==='resume')return 'scribefs resume '+quote(mount+'users/'+path);\n"
	" if(what==='export')return 'cp -r '+quote(mount+'exports/'+path)+' .';\n"
	" return 'sed -i -E '+quote('s/^( {2}\"state\": \")[a-z]+/\\\\1deleted/')+' '+"
	"quote(mount+'users/'+path+'/session.json');\n"
	"}\n"
	"async function copy(text){\n"
	" try{await navigator.clipboard.writeText(text)}\n"
	" catch{const t=document.createElement('textarea');t.value=text;document.body.append(t);"
	"t.select();document.execCommand('copy');t.remove()}\n"
	"}\n"
	"by('sessions').addEventListener('click',e=>{\n"
	" const b=e.target.closest('button');if(!b)return;\n"
	" const text=command(b.dataset.what,b.closest('li').dataset.path);\n"
	" copy(text);b.title=text;by('said').textContent='Copied: '+text;\n"
	" b.textContent='copied';setTimeout(()=>{b.textContent=b.dataset.what},1500);\n"
	"});\n"
	"by('filter').hidden=false;filter();\n"
	"</script>\n";

static const char filters[] =
	"<div id=\"filter\" hidden>\n"
	"<input type=\"search\" id=\"text\" placeholder=\"Filter\" aria-label=\"Filter by text\">\n"
	"<select id=\"state\" aria-label=\"State\"><option value=\"\">any state</option>"
	"<option>active</option><option>idle</option><option>archived</option></select>\n"
	"<select id=\"workflow\" aria-label=\"Workflow\"><option value=\"\">any workflow</option>"
	"</select>\n"
	"<select id=\"time\" aria-label=\"Time\"><option value=\"\">any time</option>"
	"<option value=\"today\">today</option><option value=\"week\">week</option>"
	"<option value=\"month\">month</option></select>\n"
	"</div>\n";

/* A path as a relative reference: everything but what is safe in one, and slashes, in %XX. */
static void put_reference(struct sink *out, const char *path)
{
	for (const char *p = path; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("/-._~", c))
			sink_put(out, p, 1);
		else
			sink_printf(out, "%%%02X", c);
	}
}

/* The part of the path that is the workflow's. */
static void put_workflow(struct sink *out, const char *path)
{
	const char *from = strchr(path, '/');
	const char *to = from ? strchr(from + 1, '/') : NULL;

	if (to)
		sink_html(out, from + 1, (size_t)(to - from - 1));
}

static void put_item(const struct listing *l, const struct listed_session *s, struct sink *out)
{
	static const char *const acts[] = {"resume", "export", "delete"};
	const char *below = s->path + (*l->path ? strlen(l->path) + 1 : 0);

	sink_printf(out, "<li data-state=\"%s\" data-time=\"", s->state);
	sink_time(out, s->activity);
	sink_text(out, "\" data-workflow=\"");
	put_workflow(out, s->path);
	sink_text(out, "\" data-path=\"");
	sink_html_string(out, s->path);
	sink_text(out, "\">\n<a href=\"./");
	put_reference(out, below);
	sink_text(out, "/transcript.html\"><bdi>");
	sink_html_string(out, s->title);
	sink_text(out, "</bdi></a>\n<div class=\"faint\"><bdi>");
	sink_html_string(out, s->path);
	sink_printf(out, "</bdi> · %s · ", s->state);
	put_html_count(out, s->messages, "message");
	sink_text(out, " · ");
	put_html_time(out, s->activity);
	if (s->agent) {
		sink_text(out, " · <bdi>");
		sink_html_string(out, s->agent);
		sink_text(out, "</bdi>");
	}
	sink_text(out, "</div>\n<div class=\"acts\"><span class=\"faint\">Copy command to</span>");
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
		sink_printf(out, "<button type=\"button\" data-what=\"%s\">%s</button>", acts[i], acts[i]);
	sink_text(out, "</div>\n</li>\n");
}

void render_index(const struct listing *l, struct sink *out)
{
	const char *title = *l->path ? l->path : "Sessions";

	put_html_head(out, title, true);
	sink_text(out, "<body>\n<h1><bdi>");
	sink_html_string(out, title);
	sink_text(out, "</bdi></h1>\n");
	sink_text(out, filters);
	sink_text(out, "<p class=\"faint\" id=\"shown\">");
	put_html_count(out, l->n, "session");
	sink_text(out, "</p>\n<p class=\"faint\" id=\"said\" role=\"status\"></p>\n<ul id=\"sessions\">\n");
	for (size_t i = 0; i < l->n && sink_wants(out); i++)
		put_item(l, &l->sessions[i], out);
	sink_text(out, "</ul>\n");
	sink_text(out, script);
	sink_text(out, "</body>\n</html>\n");
}
