"""The project API: projects, assets, jobs and workflows as the published clients of *Metafold* speak of them, unmodified.

    projects, assets, jobs, workflows, oauth    the routes
    schema      what is sent and answered, key by key: their clients build each object from all of its keys, and know no others
    view        Ganger's rows as these objects
    values      parameters, which are texts here, and what job types take
    search      `sort` and `q`
    dates       the two ways of writing a time

Everything hangs at the root of the server, since these clients take no path of it. A missing scope is 401, as their documents have it.
"""

from __future__ import annotations

from http import HTTPStatus

from api.dialects import problems
from api.dialects.dialect import Dialect
from api.dialects.metafold import assets, jobs, oauth, projects, workflows


def _covers(path: str) -> bool:
    return f"{path}/".startswith(("/projects/", "/oauth/", "/user/"))


def _status(path: str, status: HTTPStatus) -> HTTPStatus:
    """Here a missing scope is 401, and what was kept no longer was never there. A link that is refused stays forbidden."""
    if status is HTTPStatus.FORBIDDEN and not path.endswith(assets.CONTENT):
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.NOT_FOUND if status is HTTPStatus.GONE else status


dialect = Dialect(
    "metafold",
    (projects.routes, assets.routes, jobs.routes, workflows.routes, oauth.routes),
    problems.described(_covers, _status),
)
