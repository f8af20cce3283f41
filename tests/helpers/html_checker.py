"""What a web page is made of, and what is wrong with it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}
INLINE = {"a", "br", "code", "span"}


class Checker(HTMLParser):
    """
    Attributes:
        flow: tags, attributes and text in their order, without the white space that a browser drops.
    """

    def __init__(self, page):
        super().__init__()
        self.open, self.wrong, self.tags, self.ids, self.links, self.text, self.flow = [], [], [], [], [], "", []
        self.feed(page)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]
        self.flow = list(self._without_dropped_space())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.flow.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "img" and not attributes.get("alt"):
            self.wrong.append("an image without alternative text")
        for name in ("src", "href"):
            value = attributes.get(name)
            if value and not value.startswith(("#", "data:image/png;base64,")):
                self.wrong.append(f"loads {value[:60]}")
            if value and value.startswith("#"):
                self.links.append(value[1:])

    def handle_endtag(self, tag):
        self.flow.append((tag, None))
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, text):
        self.flow.append(text)
        if self.open[-1:] != ["style"]:
            self.text += text

    def _without_dropped_space(self):
        """Between and at the edges of elements that are no part of a line."""
        edges = [None, *self.flow, None]
        for before, here, after in zip(edges, edges[1:], edges[2:], strict=False):
            if isinstance(here, str):
                here = re.sub(r"[ \t\n]+", " ", here)
                here = here.lstrip(" ") if _is_edge(before) else here
                here = here.rstrip(" ") if _is_edge(after) else here
            if here:
                yield here


def _is_edge(item):
    return item is None or (isinstance(item, tuple) and item[0] not in INLINE)


def check(page):
    checker = Checker(page)
    assert not checker.wrong
    assert not {"script", "link", "iframe", "object", "base"} & set(checker.tags)
    assert "@import" not in page and "url(" not in page
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.links) <= set(checker.ids)
    return checker
