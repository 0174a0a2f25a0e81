"""The addresses under which clients reach this API: of the settings, because behind proxies no request knows them.

Without `GANGER_PUBLIC_URL` they are those of the request at hand, whose host has been checked (`api.http.serving.trusted_host`).
Links to files may lead to a host of their own (`GANGER_PUBLIC_FILE_URL`): a machine that moves data, or one with TLS on
port 443, which is the only kind that some clients follow.
"""

from __future__ import annotations

from flask import request

from api.http import api_runtime


def url(path: str) -> str:
    """Return the absolute address of a path, which begins with a slash."""
    return _root(api_runtime.of_this_app().rt.settings.public_url) + path


def file_url(path: str) -> str:
    """Return the absolute address of a path where files are moved."""
    settings = api_runtime.of_this_app().rt.settings
    return _root(settings.public_file_url or settings.public_url) + path


def _root(given: str | None) -> str:
    return request.url_root.rstrip("/") if given is None else given
