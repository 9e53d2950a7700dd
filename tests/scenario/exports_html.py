#!/usr/bin/env python3
"""exports_html.py PAGE…: each is well-formed, runs no script but the index's own, and loads nothing."""
import html.parser
import re
import sys

VOID = {"meta", "br", "hr", "input", "img", "link"}
URLS = re.compile(r"^(https?:|ftp:|mailto:|xmpp:|#|\.?/|[^:]*$)", re.I)


class Page(html.parser.HTMLParser):
    def __init__(self, name):
        super().__init__(convert_charrefs=True)
        self.name, self.stack, self.scripts, self.title, self.bad = name, [], 0, "", []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.stack.append(tag)
        self.scripts += tag == "script"
        if tag in ("img", "iframe", "object", "embed", "link", "base", "form", "svg", "video"):
            self.bad.append(f"<{tag}>")
        for name, value in attributes:
            if name.startswith("on") or name == "src":
                self.bad.append(f"{tag} {name}={value!r}")
            if name == "href" and not URLS.match(value or ""):
                self.bad.append(f"{tag} {name}={value!r}")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.bad.append(f"</{tag}> in {self.stack[-3:]}")
        else:
            self.stack.pop()


def check(path):
    raw = open(path, "rb").read()
    text = raw.decode("utf-8")  # valid, or this fails
    page = Page(path)
    page.feed(text)
    page.close()
    index = path.endswith("index.html")
    if page.stack:
        page.bad.append(f"open at the end: {page.stack}")
    if page.scripts != index:
        page.bad.append(f"{page.scripts} scripts")
    if "default-src 'none'" not in text[:600]:
        page.bad.append("no policy")
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text):
        page.bad.append("control characters")
    for fault in page.bad[:10]:
        print(f"{path}: {fault}")
    return not page.bad


sys.exit(0 if all([check(p) for p in sys.argv[1:]]) else 1)
