"""The header of a message, by another YAML parser than the product's."""
import re

import yaml

MAX, DEPTH, TEXT = 64 << 10, 32, 255
FENCE = re.compile(rb"---[ \t\r]*(\n|$)")


def find(data):
    """Where the YAML begins and ends, and where the content begins; None: there is no header."""
    data = data[:MAX]
    opening = FENCE.match(data)
    if not opening or not opening[1]:
        return None
    at = opening.end()
    while at < len(data):
        closing = FENCE.match(data, at)
        if closing:
            return opening.end(), at, closing.end()
        newline = data.find(b"\n", at)
        if newline < 0:
            return None
        at = newline + 1
    return None


def scalars(text):
    """The scalars of the top mapping; None where it is none. No alias is followed."""
    fields, depth, key, documents = {}, 0, None, 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        node = None
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                return None
        elif isinstance(event, yaml.CollectionStartEvent):
            if depth == 0 and not isinstance(event, yaml.MappingStartEvent):
                return None
            depth += 1
            if depth > DEPTH:
                return None
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            node = () if depth == 1 else None
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            if depth == 0:
                return None
            if depth == 1:
                node = (event.value,) if isinstance(event, yaml.ScalarEvent) else ()
        if node is None or depth != 1:
            continue
        if key is None:
            key = node
        else:
            if key and node and len(node[0].encode()) <= TEXT and "\0" not in node[0]:
                fields[key[0]] = node[0]
            key = None
    return fields if documents else None


def split(data):
    """How long the header is, and its fields."""
    place = find(data)
    if not place:
        return 0, {}
    begin, end, content = place
    text = data[begin:end]
    if not text.strip(b" \t\r\n"):
        return content, {}
    try:
        fields = scalars(text)
    except (yaml.YAMLError, UnicodeDecodeError):
        return 0, {}
    return (0, {}) if fields is None else (content, fields)
