"""Dialects: the same jobs and files in other systems' words, for those systems' own clients, unmodified.

A dialect renders and reads, and has no rules of its own. It is a folder here that could be deleted: nothing imports it but
`api.application`, which names it once, and no dialect imports another. What they share stands beside them:

* `dialect`   the record of one: its routes, its addresses, the form of its problems; `mount` puts it into an app
* `problems`  the two forms of errors: `{code, name, description}` and `{type, title, status, detail}`
* `paging`    the two kinds of lists: `offset`, `limit` and `total`, and one bare array of everything
* `api.http.links` signed links to files (`signed`) and the addresses in answers (`public`), which Ganger's own routes use, too

How to write one: a package here with `dialect = Dialect(...)` in its `__init__`, and its line in `api.application.DIALECTS`. Its
routes are `api.http.routing.Routes` with a role each, so that tokens and roles are checked as everywhere; they are not in
`/openapi.json`, which describes Ganger's own API.
"""
