"""The templates: read once, everything escaped, an unknown name an error; the filters and the frame that every page has."""

from __future__ import annotations

import hashlib
import shlex
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from api.ui.pages import PageRequest, PageView
from api.ui.session import forgery
from api.ui.show import assets, formats, marks, words

FOLDER = Path(__file__).parents[1] / "templates"
PART = "X-Ganger-Part"
"""A page that renews itself asks with this header for its live part alone."""

PACKED_FROM = 1_000
"""Answers above this many bytes are worth packing."""


@cache
def environment() -> Environment:
    """Return the templates with all their filters, each compiled before the first request."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {
        "plain": formats.plain, "cut": formats.cut, "cut_plain": formats.cut_plain, "duration": formats.duration, "count": formats.count,
        "number": formats.number, "mib": formats.mib, "size": formats.size, "words": shlex.join, "pairs": formats.pairs,
        "beside": _beside, "clock": _clock, "stamp": _stamp,
    }  # fmt: skip
    made.globals |= {
        "asset": assets.address, "mark": marks.mark, "icon": marks.icon, "between": formats.between,
        "percent": formats.percent, "resource": formats.resource, "bar": marks.bar, "link": _link, "tone": marks.tone, "shape": marks.shape, "start_basis": words.start_basis,
        "with_query": with_query, "version": version("ganger-server"),
    }  # fmt: skip
    for name in made.list_templates():
        made.get_template(name)
    return made


def respond(page: PageRequest | None, view: PageView, frame: Mapping[str, object]) -> Response:
    """Return a page, or its live part alone where the browser asks for that; nothing at all when it still has the same."""
    template = environment().get_template(view.template)
    facts = {**frame, **view.facts, "page": page}
    if request.headers.get(PART) and view.part in template.blocks:
        return _part(_block(template, view.part, facts), view.status)
    token = forgery.word(page.session) if page is not None and page.session else ""
    html = template.render(_with_macros(facts, token))
    return packed(Response(html, view.status, content_type="text/html; charset=utf-8"))


def part_of(view: PageView, page: PageRequest, frame: Mapping[str, object]) -> str:
    """Return the live part of a page as text."""
    template = environment().get_template(view.template)
    return _block(template, view.part, {**frame, **view.facts, "page": page})


def _block(template: Template, name: str, facts: Mapping[str, object]) -> str:
    return "".join(template.blocks[name](template.new_context(_with_macros(facts, ""))))


def _with_macros(facts: Mapping[str, object], token: str) -> dict[str, object]:
    """Return the facts with the macros that every template uses as `m`; a part that is shown alone has no template above it to import them."""
    known = {**facts, "csrf": token}
    return {**known, "m": environment().get_template("parts/macros.html").make_module(known)}


def _part(html: str, status: int) -> Response:
    tag = hashlib.sha256(html.encode()).hexdigest()[:20]
    if request.if_none_match.contains_weak(tag):
        return Response(status=304)
    answer = Response(html, status, content_type="text/html; charset=utf-8")
    answer.set_etag(tag, weak=True)
    return packed(answer)


def packed(response: Response) -> Response:
    """Return the answer with its body packed, where that is worth it and the browser takes it."""
    response.vary.add("Accept-Encoding")
    body = response.get_data()
    if len(body) > PACKED_FROM and request.accept_encodings["gzip"] > 0:
        packer = zlib.compressobj(5, zlib.DEFLATED, 31)
        response.set_data(packer.compress(body) + packer.flush())
        response.headers["Content-Encoding"] = "gzip"
    return response


def with_query(**changes: Any) -> str:  # noqa: ANN401 - texts, lists of them, or None to leave a parameter out
    """Return this page's address with some parameters changed; a change begins again at the first page."""
    kept = [
        (name, value)
        for name, values in request.args.lists()
        for value in values
        if name not in {"page", "cursor", *changes}
    ]
    for name, value in changes.items():
        kept += [(name, str(one)) for one in (value if isinstance(value, list | tuple) else [value]) if one is not None]
    return f"{request.script_root}{request.path}" + (f"?{urlencode(kept)}" if kept else "")


def _link(path: str, **parameters: Any) -> str:  # noqa: ANN401 - likewise
    """Return an address beneath `/ui/`."""
    given = [
        (name, str(one))
        for name, value in parameters.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]
    return f"{request.script_root}/ui/{quote(path)}" + (f"?{urlencode(given)}" if given else "")


def _beside(address: str) -> str:
    """Return a link of the API to a neighbouring page as one of the site that this page is on."""
    return urlsplit(address)._replace(scheme="", netloc="").geturl()


@pass_context
def _clock(context: Context, value: datetime | str | None) -> Markup:
    return formats.clock(formats.parsed(value), context["liked"], context["now"])


@pass_context
def _stamp(context: Context, value: datetime | str | None) -> Markup:
    return formats.stamp(formats.parsed(value), context["liked"])
